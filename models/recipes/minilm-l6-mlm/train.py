"""Training: goes on from the first checkpoint, or from where an earlier run of this command stopped.

    python train.py                 # until stopped
    python train.py --anneal 1000   # a side branch of 1,000 steps whose rate falls to nothing, from the newest state

A file named `pause` in the work folder holds the run before its next step until the file is gone. SIGTERM and Ctrl-C save
and end it. The log is `train.log` in the work folder.

The rate is constant after a warm-up, and a running average of the weights is what is measured and kept: the run is of use
whenever it is stopped. `best.safetensors` holds the weights with the best top-1 so far, `best.json` their figures.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker computes on one thread; see `--workers`

import argparse
import fcntl
import json
import shutil
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import evaluate
from batches import Corpus, special
from common import VALIDATION, add_folders, read_probes, replace_file
from model import MaskedLM, load

AVERAGE_EVERY = 4  # steps between updates of the average
MEASURE_STEPS = 300  # the fewest steps between validations
AVERAGE_POWER = 7.0  # the average reaches back over about a tenth of the run, however long it is


def options_of():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folders(parser)
    parser.add_argument("--workers", type=int, default=2, help="batches computed at once, each on one thread (default: %(default)s)")
    parser.add_argument("--batches", type=int, default=2, help="batches of one step (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate of layers and head (default: %(default)s)")
    parser.add_argument("--embedding-rate", type=float, default=1e-4, help="that of the embeddings (default: %(default)s)")
    parser.add_argument("--warm-up", type=int, default=200, help="steps of warm-up (default: %(default)s)")
    parser.add_argument("--anneal", type=int, metavar="STEPS", help="train a side branch that ends after STEPS")
    parser.add_argument("--save-minutes", type=float, default=10, help="minutes between checkpoints (default: %(default)s)")
    parser.add_argument("--measure-minutes", type=float, default=20, help="least minutes between validations (default: %(default)s)")
    parser.add_argument("--steps", type=int, help="stop at this step")
    parser.add_argument("--nice", type=int, default=19, help="priority of the process (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=20)
    return parser.parse_args()


class Run:
    """Weights, their average, the optimiser and the place in the data."""

    def __init__(self, options):
        self.options = options
        self.model, self.config = load(options.start)
        self.average = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        groups = {}
        for name, p in self.model.named_parameters():
            embedding = name.startswith("bert.embeddings") and p.ndim == 2
            groups.setdefault((embedding, p.ndim == 2), []).append(p)
        self.optimizer = torch.optim.AdamW(
            [{"params": p, "base": options.embedding_rate if embedding else options.rate, "weight_decay": 0.01 * decays}
             for (embedding, decays), p in groups.items()], lr=0.0, betas=(0.9, 0.98), eps=1e-8, fused=True)
        self.tokenizer = evaluate.tokenizer_of(options.start)
        self.corpus = Corpus(options.work / "data.npz", special(self.tokenizer), options.seed)
        self.validation = evaluate.validation_batches(VALIDATION, self.tokenizer)
        self.probes = read_probes()
        self.step, self.round, self.index, self.pieces, self.seconds = 0, 0, 0, 0, 0.0
        self.branch_from = None  # the step at which a side branch began
        self.plan = None
        self.pool = ThreadPoolExecutor(options.workers)

    @property
    def state_file(self):
        return self.options.work / ("anneal.pt" if self.options.anneal else "state.pt")

    def resume(self) -> bool:
        """Takes up the saved state, where there is one; a new side branch sets out from the main run's."""
        source = self.state_file
        if self.options.anneal and not source.exists():
            source = self.options.work / "state.pt"
        if not source.exists():
            return False
        state = torch.load(source, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average = state["average"]
        bases = [group["base"] for group in self.optimizer.param_groups]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, base in zip(self.optimizer.param_groups, bases):  # this call's rates, not the saved ones
            group["base"] = base
        for key in ("step", "round", "index", "pieces", "seconds", "branch_from"):
            setattr(self, key, state[key])
        if self.options.anneal and self.branch_from is None:
            self.branch_from = self.step
        return True

    def save(self) -> None:
        """Writes the whole state, replacing the old file in one step."""
        state = {"model": self.model.state_dict(), "average": self.average, "optimizer": self.optimizer.state_dict()}
        state |= {key: getattr(self, key) for key in ("step", "round", "index", "pieces", "seconds", "branch_from")}
        replace_file(self.state_file, lambda path: torch.save(state, path))

    def batches(self) -> list:
        """The batches of the next step."""
        if self.plan is None:
            self.plan = self.corpus.round(self.round)
        if self.index + self.options.batches > len(self.plan):
            self.round, self.index = self.round + 1, 0
            self.plan = self.corpus.round(self.round)
        at = self.index
        self.index += self.options.batches
        return [self.corpus.batch(self.plan[i], self.round, i) for i in range(at, self.index)]

    def rate(self) -> float:
        """The share of the learning rate that this step uses."""
        if self.branch_from is not None:
            return max(0.0, 1 - (self.step - self.branch_from) / self.options.anneal)
        return min(1.0, (self.step + 1) / self.options.warm_up)

    def forward_backward(self, batch, total: int) -> float:
        """Adds a batch's gradients, scaled so that a step's sum is the mean over its `total` targets."""
        # No cache of cast weights: it would be shared between the workers' graphs, and each weight is used once anyway.
        with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
            logits = self.model(torch.from_numpy(batch.ids), torch.from_numpy(batch.lengths),
                                (torch.from_numpy(batch.rows), torch.from_numpy(batch.columns)))
        loss = F.cross_entropy(logits.float(), torch.from_numpy(batch.targets), reduction="sum") / total
        loss.backward()
        return float(loss)

    def train_step(self) -> float:
        """One step of the optimiser; gives the mean loss over the masked pieces."""
        batches = self.batches()
        total = sum(len(b.targets) for b in batches)
        loss = sum(self.pool.map(lambda b: self.forward_backward(b, total), batches))
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base"] * self.rate()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.pieces += sum(int(b.lengths.sum()) for b in batches)
        if self.step % AVERAGE_EVERY == 0:
            updates = self.step // AVERAGE_EVERY
            keep = (1 - 1 / updates) ** (AVERAGE_POWER + 1)
            torch._foreach_lerp_(list(self.average.values()), [p.detach() for p in self.model.parameters()], 1 - keep)
        return loss

    def measure(self) -> str:
        """Figures of the average (of the weights themselves in a side branch); keeps them where they are the best so far."""
        weights = self.average
        if self.branch_from is not None:
            weights = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        model = MaskedLM(self.config)
        model.load_state_dict(weights)
        figures = evaluate.measure(model, self.validation)
        figures |= {"step": self.step, "pieces": self.pieces, "hours": self.seconds / 3600, "annealed": self.branch_from is not None}
        best_file = self.options.work / "best.json"
        best = json.loads(best_file.read_text()) if best_file.exists() else {"top1": 0.0}
        if figures["top1"] > best["top1"]:
            replace_file(self.options.work / "best.safetensors", lambda path: save_file(weights, path))
            replace_file(best_file, lambda path: path.write_text(json.dumps(figures, indent=1) + "\n"))
        return evaluate.report(figures, evaluate.probe(model, self.tokenizer, self.probes))


def main() -> None:
    options = options_of()
    options.work.mkdir(parents=True, exist_ok=True)
    os.nice(max(0, options.nice - os.nice(0)))
    torch.set_num_threads(1)
    lock = open(options.work / "train.pid", "a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        sys.exit(f"Another run works in {options.work}; its process id is in train.pid there.")
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    log_file = open(options.work / "train.log", "a", encoding="utf-8")

    def log(text: str) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}"
        print(line, flush=True)
        print(line, file=log_file, flush=True)

    stop = []
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.append(True))
    run = Run(options)
    log(f"resumed at step {run.step}" if run.resume() else "set out from the first checkpoint")
    if run.step == 0:
        log(run.measure())
    train(run, log, stop)
    run.save()
    if options.anneal and run.step >= run.branch_from + options.anneal:
        log("branch ended: " + run.measure())
        shutil.move(run.state_file, run.state_file.with_name("annealed.pt"))
    log(f"stopped at step {run.step}")


def train(run: Run, log, stop: list) -> None:
    """Steps until told to stop, with saves, validations and a line of the log every fifty steps."""
    options = run.options
    last = run.branch_from + options.anneal if options.anneal else options.steps or float("inf")
    saved = measured = time.monotonic()
    losses, since, pieces, measured_at = [], time.monotonic(), run.pieces, run.step
    while not stop and run.step < last:
        if (options.work / "pause").exists():
            log(f"paused at step {run.step}")
            run.save()
            while (options.work / "pause").exists() and not stop:
                time.sleep(1)
            log("goes on")
            saved = since = time.monotonic()
            pieces, losses = run.pieces, []
            continue
        started = time.monotonic()
        losses.append(run.train_step())
        now = time.monotonic()
        run.seconds += now - started
        if run.step % 50 == 0:
            log(f"step {run.step} round {run.round} loss {sum(losses) / len(losses):.4f} rate {run.rate():.3f} "
                f"{run.pieces / 1e6:.2f} million pieces, {(run.pieces - pieces) / (now - since):.0f} a second")
            losses, since, pieces = [], time.monotonic(), run.pieces
        if now - saved > 60 * options.save_minutes:
            run.save()
            saved = time.monotonic()
        # On a busy machine a validation costs as much as many steps, so steps count too.
        if now - measured > 60 * options.measure_minutes and run.step - measured_at >= MEASURE_STEPS:
            log(run.measure())
            measured, measured_at = time.monotonic(), run.step


if __name__ == "__main__":
    main()
