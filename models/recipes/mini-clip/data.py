"""The prepared arrays: training batches, and the tests' pictures and names."""

import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

WEIGHTS = {"tuxpaint": 2.0}  # photographs are few: seen twice as often
ROOM = 1.25  # training pictures are held at this times the side, so that warping neither blurs nor aliases


class TrainingSet:
    """Training pictures u8 `[pictures, h, h, 4]` and, for each, a distribution over the captions."""

    def __init__(self, work: Path, side: int, tag_share: float):
        data = json.loads((work / "data.json").read_text())
        stored = torch.from_numpy(np.load(work / "train.npy", mmap_mode="r").copy())
        held = round(side * ROOM)
        resized = [
            F.interpolate(part.permute(0, 3, 1, 2).float(), (held, held), mode="area").permute(0, 2, 3, 1).round().byte()
            for part in stored.split(256)
        ]
        self.pictures = torch.cat(resized)
        self.captions = torch.from_numpy(np.load(work / "captions.npy"))  # [templates, captions, 384]
        self.targets = torch.zeros(len(self.pictures), self.captions.shape[1], dtype=torch.float16)
        for row, picture in enumerate(data["pictures"]):
            share = tag_share if picture["tags"] else 0.0
            self.targets[row, picture["label"]] += 1 - share
            for tag in picture["tags"]:
                self.targets[row, tag] += share / len(picture["tags"])
        self.weights = torch.tensor([WEIGHTS.get(picture["source"], 1.0) for picture in data["pictures"]])

    def batch(self, size: int) -> torch.Tensor:
        """Random rows, by weight."""
        return torch.multinomial(self.weights, size, replacement=True)


def names(work: Path) -> torch.Tensor:
    """The tests' names under every template, f32 `[templates, names, 384]`."""
    return torch.from_numpy(np.load(work / "names.npy"))


def test_pictures(work: Path, side: int) -> torch.Tensor:
    """Every held-out picture, f32 `[pictures, 3, side, side]` in −1…1."""
    pixels = torch.from_numpy(np.load(work / f"test{side}.npy"))
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
