"""The image tower: a small convolutional stem, then a standard pre-norm ViT, then a projection to the text tower's 384.

Axes: b pictures, t tokens (the class token, then the patches row by row), w width.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

TEXT_WIDTH = 384
PATCH = 8  # the stem's strides multiplied


@dataclass
class Shape:
    """The sizes of an image tower; stored in every checkpoint. `stem` lists its 3×3 convolutions: channels and stride."""

    side: int = 48
    stem: tuple[tuple[int, int], ...] = ((32, 2), (64, 2), (64, 1), (128, 2), (128, 1))
    width: int = 192
    layers: int = 6
    heads: int = 3
    drop_path: float = 0.0
    pooling: str = "cls"  # or "mean": over the patches


class Stem(nn.Module):
    """3×3 convolutions, each normalised over the batch (folded at export) and through GELU; then 1×1 to the width."""

    def __init__(self, layers: tuple[tuple[int, int], ...], width: int):
        super().__init__()
        outputs = [channels for channels, _ in layers]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False)
            for before, (after, stride) in zip([3, *outputs], layers)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for channels in outputs)
        self.projection = nn.Conv2d(outputs[-1], width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[b, 3, side, side]` → `[b, patches, w]`."""
        for convolution, norm in zip(self.convolutions, self.norms):
            x = F.gelu(norm(convolution(x)))
        return self.projection(x).flatten(2).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm attention and feed-forward. Under stochastic depth a whole branch is left out for some pictures."""

    def __init__(self, width: int, heads: int, drop_path: float):
        super().__init__()
        self.heads, self.drop_path = heads, drop_path
        self.norm_before = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_after = nn.LayerNorm(width, eps=1e-6)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def kept(self, branch: torch.Tensor) -> torch.Tensor:
        if not self.training or self.drop_path == 0:
            return branch
        keep = torch.rand(len(branch), 1, 1) >= self.drop_path
        return branch * (keep / (1 - self.drop_path)).to(branch.dtype)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, w = x.shape
        head = w // self.heads
        query, key, value = self.qkv(self.norm_before(x)).view(b, t, 3, self.heads, head).permute(2, 0, 3, 1, 4)
        # Written out: on a processor in bf16 the fused attention takes six times as long for so few tokens.
        looks = ((query * head**-0.5) @ key.transpose(-1, -2)).softmax(-1).to(value.dtype)
        mixed = (looks @ value).transpose(1, 2).reshape(b, t, w)
        x = x + self.kept(self.out(mixed))
        return x + self.kept(self.down(F.gelu(self.up(self.norm_after(x)))))


class ImageTower(nn.Module):
    """Pictures `[b, 3, side, side]` in −1…1 → embeddings `[b, 384]`, not yet of length one."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        patches = (shape.side // PATCH) ** 2
        self.stem = Stem(shape.stem, shape.width)
        self.class_token = nn.Parameter(torch.zeros(1, 1, shape.width))
        self.positions = nn.Parameter(torch.randn(1, 1 + patches, shape.width) * 0.02)
        rates = [shape.drop_path * layer / max(1, shape.layers - 1) for layer in range(shape.layers)]
        self.blocks = nn.ModuleList(Block(shape.width, shape.heads, rate) for rate in rates)
        self.norm = nn.LayerNorm(shape.width, eps=1e-6)
        self.projection = nn.Linear(shape.width, TEXT_WIDTH, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(3.0))  # natural logarithm

    @property
    def side(self) -> int:
        return self.shape.side

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """The class token, or the mean of the patches, after the last norm: `[b, w]`."""
        x = self.stem(x)
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1) + self.positions
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x[:, 0] if self.shape.pooling == "cls" else x[:, 1:].mean(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.projection(self.features(x))


def grown(state: dict, side: int) -> dict:
    """A checkpoint's weights for pictures of another side: the positions are resized, the rest is kept."""
    positions = state["positions"]
    before = int((positions.shape[1] - 1) ** 0.5)
    after = side // PATCH
    if before == after:
        return state
    grid = positions[:, 1:].view(1, before, before, -1).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, (after, after), mode="bicubic", align_corners=False).permute(0, 2, 3, 1).flatten(1, 2)
    return {**state, "positions": torch.cat([positions[:, :1], grid], 1)}
