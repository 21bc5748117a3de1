"""Training of the image tower: softmax over all captions, whose embeddings are frozen.

Resumes from `<work>/<run>/checkpoint.pt` when there is one. Sleeps while `<work>/pause` or `<work>/<run>/pause` exists.
The pictures grow by stages. The rate is constant after a warm-up and falls to zero over the last `--decay` steps before `--steps`; to finish a run
that is going on, stop it and start it again with `--finish N`: N more steps, the rate falling.
"""

import argparse
import json
import os
import signal
import time
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F

from augment import augment
from common import parser, replace
from data import TrainingSet
from evaluate import measure, one_line
from model import ImageTower, Shape, grown
from muon import Muon

LABEL_FIRST = (0.55, 0.15, 0.15, 0.15)  # how often each template is trained on


def arguments():
    line = parser(__doc__.splitlines()[0])
    line.add_argument("--run", default="main", help="name of the run: its folder below the work folder")
    line.add_argument("--stages", default="32@0,48@3500", help="sides of the pictures, each from a step on")
    line.add_argument("--stem", default="32/2,64/2,64,128/2,192,192", help="3×3 convolutions: channels, and /2 for a stride of two")
    line.add_argument("--pooling", choices=("cls", "mean"), default="mean")
    line.add_argument("--width", type=int, default=192)
    line.add_argument("--layers", type=int, default=4)
    line.add_argument("--heads", type=int, default=3)
    line.add_argument("--drop-path", type=float, default=0.0)
    line.add_argument("--batch", type=int, default=128)
    line.add_argument("--muon", action=argparse.BooleanOptionalAction, default=True, help="Muon for the tower's matrices, AdamW for the rest")
    line.add_argument("--rate", type=float, default=2e-3)
    line.add_argument("--weight-decay", type=float, default=0.05)
    line.add_argument("--tag-share", type=float, default=0.2)
    line.add_argument("--classes", type=float, default=0.0, help="weight of a learned classifier of the captions beside the frozen one")
    line.add_argument("--average", type=float, default=0.998, help="decay of the running average a step")
    line.add_argument("--warmup", type=int, default=200)
    line.add_argument("--steps", type=int, default=1_000_000)
    line.add_argument("--decay", type=int, default=0, help="the last steps, over which the rate falls to zero")
    line.add_argument("--finish", type=int, default=0, help="make this many more steps with a falling rate, then end")
    line.add_argument("--bf16", action="store_true")
    line.add_argument("--threads", type=int, default=1)
    line.add_argument("--measure-every", type=float, default=20, help="minutes")
    line.add_argument("--save-every", type=float, default=10, help="minutes")
    line.add_argument("--seed", type=int, default=0)
    return line.parse_args()


def stages(args) -> list[tuple[int, int]]:
    """First step and side of each stage, in order."""
    return sorted((int(step), int(side)) for side, step in (one.split("@") for one in args.stages.split(",")))


def side_at(args, step: int) -> int:
    return [side for first, side in stages(args) if first <= step][-1]


def shape(args, side: int) -> Shape:
    """The tower the command line asks for."""
    pairs = [(one.split("/") + ["1"])[:2] for one in args.stem.split(",")]
    stem = tuple((int(channels), int(stride)) for channels, stride in pairs)
    return Shape(side, stem, args.width, args.layers, args.heads, args.drop_path, args.pooling)


class Run:
    """A tower, its optimiser and its running average, and the files they live in."""

    def __init__(self, args):
        self.args = args
        self.folder = args.work / args.run
        self.folder.mkdir(parents=True, exist_ok=True)
        self.checkpoint = self.folder / "checkpoint.pt"
        saved = torch.load(self.checkpoint, weights_only=True) if self.checkpoint.exists() else None
        self.step, self.seconds = (saved["step"], saved["seconds"]) if saved else (0, 0.0)
        self.side = side_at(args, self.step)
        self.tower = ImageTower(shape(args, self.side))
        self.data = TrainingSet(args.work, self.side, args.tag_share)
        self.head = torch.nn.Linear(args.width, self.data.targets.shape[1]) if args.classes else None
        modules = [self.tower] + ([self.head] if self.head else [])
        weights = [p for m in modules for p in m.parameters()]
        matrices = [p for p in weights if p.ndim >= 2 and p.shape[0] > 1]
        rest = [p for p in weights if not (p.ndim >= 2 and p.shape[0] > 1)]
        by_muon = [p for p in self.tower.parameters() if p.ndim >= 2 and p.shape[0] > 1] if args.muon else []
        muon_ids = set(map(id, by_muon))
        groups = [
            {"params": [p for p in matrices if id(p) not in muon_ids], "weight_decay": args.weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        self.optimisers = [torch.optim.AdamW([g for g in groups if g["params"]], lr=args.rate, betas=(0.9, 0.98), foreach=True)]
        if by_muon:
            self.optimisers.append(Muon(by_muon, lr=args.rate, weight_decay=args.weight_decay))
        self.average = {name: value.clone() for name, value in self.tower.state_dict().items()}
        if saved:
            self.resume(saved)

    def resume(self, saved: dict) -> None:
        """Takes up a checkpoint. When the pictures have grown since, the positions are resized and the optimisers begin afresh."""
        self.tower.load_state_dict(grown(saved["tower"], self.side))
        self.average = grown(saved["average"], self.side)
        if self.head:
            self.head.load_state_dict(saved["head"])
        if saved["shape"]["side"] == self.side:
            for optimiser, state in zip(self.optimisers, saved["optimisers"], strict=True):
                optimiser.load_state_dict(state)

    def save(self) -> None:
        state = {
            "shape": asdict(self.tower.shape),
            "tower": self.tower.state_dict(),
            "average": self.average,
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "head": self.head.state_dict() if self.head else None,
            "step": self.step,
            "seconds": self.seconds,
        }
        replace(self.checkpoint, lambda beside: torch.save(state, beside))

    def averaged(self) -> ImageTower:
        tower = ImageTower(self.tower.shape)
        tower.load_state_dict(self.average)
        return tower

    def take_step(self, rate: float) -> float:
        """One batch; returns its loss."""
        args = self.args
        for group in (group for optimiser in self.optimisers for group in optimiser.param_groups):
            group["lr"] = rate
        self.tower.train()
        rows = self.data.batch(args.batch)
        pixels = augment(self.data.pictures[rows], self.side)
        targets = self.data.targets[rows].float()
        template = int(torch.multinomial(torch.tensor(LABEL_FIRST), 1))
        with torch.autocast("cpu", torch.bfloat16, enabled=args.bf16):
            features = self.tower.features(pixels)
        features = features.float()
        images = F.normalize(self.tower.projection(features), dim=-1)
        logits = self.tower.logit_scale.exp() * images @ self.data.captions[template].T
        loss = F.cross_entropy(logits, targets)
        whole = loss + args.classes * F.cross_entropy(self.head(features), targets) if self.head else loss
        for optimiser in self.optimisers:
            optimiser.zero_grad()
        whole.backward()
        torch.nn.utils.clip_grad_norm_(self.tower.parameters(), 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        with torch.no_grad():
            self.tower.logit_scale.clamp_(max=4.6)
            keep = min(args.average, (1 + self.step) / (10 + self.step))
            for name, value in self.tower.state_dict().items():
                if value.is_floating_point():
                    self.average[name].lerp_(value, 1 - keep)
                else:
                    self.average[name].copy_(value)
        self.step += 1
        return loss.item()


def rate_at(args, step: int, end: int) -> float:
    """The learning rate: warm-up, constant, then a line to zero."""
    rate = args.rate * min(1.0, (step + 1) / args.warmup)
    decay = args.finish or args.decay
    return rate * min(1.0, (end - step) / decay) if decay else rate


def main() -> None:
    args = arguments()
    torch.manual_seed(args.seed + int(time.time()) % 100_000)
    torch.set_num_threads(args.threads)
    run = Run(args)
    (run.folder / "pid").write_text(str(os.getpid()))
    pauses = [args.work / "pause", run.folder / "pause"]
    log = open(run.folder / "log.txt", "a", buffering=1)

    def say(text: str) -> None:
        print(text, flush=True)
        log.write(text + "\n")

    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    end = run.step + args.finish if args.finish else args.steps
    say(f"{time.strftime('%H:%M:%S')} start at step {run.step}, {sum(p.numel() for p in run.tower.parameters())} weights, {vars(args)}")
    smooth, saved, measured = None, time.monotonic(), time.monotonic()

    def report() -> None:
        figures = measure(run.averaged(), args.work)
        minutes = run.seconds / 60
        say(f"{time.strftime('%H:%M:%S')} step {run.step} minutes {minutes:.1f} loss {smooth or 0:.3f} scale {run.tower.logit_scale.exp():.1f} | {one_line(figures)}")
        with open(run.folder / "figures.jsonl", "a") as out:
            out.write(json.dumps({"step": run.step, "minutes": round(minutes, 1), "loss": smooth, **figures}) + "\n")

    while run.step < end and not stop:
        if any(pause.exists() for pause in pauses):
            run.save()
            while any(pause.exists() for pause in pauses) and not stop:
                time.sleep(1)
            continue
        before = time.monotonic()
        if side_at(args, run.step) != run.side:
            run.save()
            run = Run(args)
            say(f"{time.strftime('%H:%M:%S')} step {run.step}: pictures of {run.side} pixels from here on")
        loss = run.take_step(rate_at(args, run.step, end))
        smooth = loss if smooth is None else 0.98 * smooth + 0.02 * loss
        run.seconds += time.monotonic() - before
        if run.step % 100 == 0:
            print(f"{time.strftime('%H:%M:%S')} step {run.step} loss {smooth:.3f} {args.batch / (time.monotonic() - before):.0f} pictures/s", flush=True)
        if time.monotonic() - saved > 60 * args.save_every:
            run.save()
            saved = time.monotonic()
        if time.monotonic() - measured > 60 * args.measure_every:
            report()
            measured = time.monotonic()
    run.save()
    report()


if __name__ == "__main__":
    main()
