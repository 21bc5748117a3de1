"""The exported model in PyTorch: transformers' own ViT with the stem put in the place of its patch projection.

An independent reading of the export: nothing of `model.py` is used.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn
from transformers import ViTConfig, ViTModel

STEM = "embeddings.patch_embeddings."


class StemEmbeddings(nn.Module):
    """3×3 convolutions through GELU, then a 1×1 convolution to the width."""

    def __init__(self, channels: list[int], strides: list[int], width: int):
        super().__init__()
        self.stem = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=stride, padding=1) for before, after, stride in zip([3, *channels], channels, strides)
        )
        self.projection = nn.Conv2d(channels[-1], width, 1)

    def forward(self, pixel_values: torch.Tensor, interpolate_pos_encoding: bool = False) -> torch.Tensor:
        for convolution in self.stem:
            pixel_values = F.gelu(convolution(pixel_values))
        return self.projection(pixel_values).flatten(2).transpose(1, 2)


class ExportedTower(nn.Module):
    """The image tower of an exported folder: pictures `[b, 3, side, side]` → embeddings `[b, 384]`."""

    def __init__(self, config: dict, tensors: dict[str, torch.Tensor]):
        super().__init__()
        vision = ViTConfig(**config["vision_config"])
        stem = config["vision_config"]["stem"]
        self.shape, self.pooling = vision, config["vision_config"]["pooling"]
        self.vision_model = ViTModel(vision, add_pooling_layer=False)
        self.vision_model.embeddings.patch_embeddings = StemEmbeddings(stem["channels"], stem["strides"], vision.hidden_size)
        self.visual_projection = nn.Linear(vision.hidden_size, config["projection_dim"], bias=False)
        wanted = {name: value for name, value in tensors.items() if name.startswith(("vision_model.", "visual_projection."))}
        self.load_state_dict(wanted)

    @property
    def side(self) -> int:
        return self.shape.image_size

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        hidden = self.vision_model(pixels).last_hidden_state
        return self.visual_projection(hidden[:, 0] if self.pooling == "cls" else hidden[:, 1:].mean(1))


def load(folder: Path) -> tuple[ExportedTower, dict[str, torch.Tensor]]:
    """The tower and all tensors of an exported folder."""
    config = json.loads((folder / "config.json").read_text())
    tensors = load_file(folder / "model.safetensors")
    return ExportedTower(config, tensors).eval(), tensors
