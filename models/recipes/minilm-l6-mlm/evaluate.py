"""Evaluation: how often the model names the piece behind a [MASK], on the held-out passages and on the probes.

    python evaluate.py FOLDER

FOLDER holds config.json, model.safetensors and tokenizer.json (an export, or the first checkpoint). Every passage is one
sequence. A position is chosen where the first eight bytes of SHA-256("line/position"), as a big-endian fraction of 2^64,
lie under 0.15; line counts from 0 in validation.txt, position from 1 after [CLS]. All chosen positions of a passage are
[MASK] at once; top-1 and top-5 say how often the true piece is the first or among the first five.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from batches import special
from common import VALIDATION, add_folders, read_probes
from model import load

RATE = 0.15
LONGEST = 510


def is_chosen(line: int, position: int) -> bool:
    """Whether the piece at `position` of passage `line` is masked."""
    digest = hashlib.sha256(f"{line}/{position}".encode()).digest()
    return int.from_bytes(digest[:8], "big") < RATE * 2**64


def tokenizer_of(folder: Path) -> Tokenizer:
    """The folder's tokenizer, neither cutting nor filling up."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def validation_batches(path: Path, tokenizer: Tokenizer) -> list:
    """(ids [batch, seq], lengths, (rows, columns), targets) of the passages, shortest first, about 4,096 places each."""
    marks, prepared = special(tokenizer), []
    for line, text in enumerate(path.read_text(encoding="utf-8").splitlines()):
        ids = [marks.cls] + tokenizer.encode(text, add_special_tokens=False).ids[:LONGEST] + [marks.sep]
        prepared.append((ids, [p for p in range(1, len(ids) - 1) if is_chosen(line, p)]))
    prepared.sort(key=lambda item: len(item[0]))
    batches, group = [], []
    for item in prepared:
        if group and (len(group) + 1) * len(item[0]) > 4096:
            batches.append(collate(group, marks))
            group = []
        group.append(item)
    return batches + [collate(group, marks)]


def collate(group: list, marks):
    """One batch of (ids, chosen positions)."""
    lengths = torch.tensor([len(ids) for ids, _ in group])
    ids = torch.full((len(group), int(lengths.max())), marks.pad)
    for row, (pieces, _) in enumerate(group):
        ids[row, :len(pieces)] = torch.tensor(pieces)
    rows = torch.tensor([row for row, (_, places) in enumerate(group) for _ in places], dtype=torch.long)
    columns = torch.tensor([place for _, places in group for place in places], dtype=torch.long)
    targets = ids[rows, columns].clone()
    ids[rows, columns] = marks.mask
    return ids, lengths, (rows, columns), targets


@torch.no_grad()
def measure(model, batches: list) -> dict:
    """top-1, top-5 (shares), loss (nats) and the number of positions."""
    first = five = count = 0
    loss = 0.0
    for ids, lengths, where, targets in batches:
        if not len(targets):
            continue
        logits = model(ids, lengths, where)
        best = logits.topk(5).indices == targets[:, None]
        first += int(best[:, 0].sum())
        five += int(best.sum())
        count += len(targets)
        loss += float(F.cross_entropy(logits, targets, reduction="sum"))
    return {"top1": first / count, "top5": five / count, "loss": loss / count, "positions": count}


@torch.no_grad()
def probe(model, tokenizer: Tokenizer, probes: list) -> list:
    """For every probe: its text, the expected words, and the five likeliest pieces with their probabilities."""
    marks, found = special(tokenizer), []
    for item in probes:
        ids = np.array([tokenizer.encode(item["text"]).ids])
        rows, columns = np.nonzero(ids == marks.mask)
        logits = model(torch.from_numpy(ids), torch.tensor([ids.shape[1]]), (torch.from_numpy(rows), torch.from_numpy(columns)))
        chances, pieces = logits[0].softmax(-1).topk(5)
        answers = [(tokenizer.id_to_token(int(p)), float(c)) for p, c in zip(pieces, chances)]
        found.append({"text": item["text"], "expected": item["expected"], "answers": answers})
    return found


def report(figures: dict, probes: list) -> str:
    """The figures and the probes in lines for people."""
    hits = sum(p["answers"][0][0] in p["expected"] for p in probes)
    near = sum(any(a in p["expected"] for a, _ in p["answers"]) for p in probes)
    lines = [f"top-1 {figures['top1']:.2%}, top-5 {figures['top5']:.2%}, loss {figures['loss']:.4f} on {figures['positions']} positions; "
             f"probes: {hits} of {len(probes)} first, {near} among five"]
    for p in probes:
        mark = "+" if p["answers"][0][0] in p["expected"] else " "
        lines.append(f"  {mark} {p['text']} " + ", ".join(f"{a} {c:.2f}" for a, c in p["answers"]))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folders(parser)
    parser.add_argument("folder", type=Path, nargs="?", help="default: the export in the work folder")
    options = parser.parse_args()
    folder = options.folder or options.work / "export"
    model, _ = load(folder)
    tokenizer = tokenizer_of(folder)
    figures = measure(model, validation_batches(VALIDATION, tokenizer))
    print(report(figures, probe(model, tokenizer, read_probes())))


if __name__ == "__main__":
    main()
