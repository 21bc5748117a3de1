"""Export: both towers as one dual encoder in f32, read back and measured.

Writes into `--out`
- `config.json`, `preprocessor_config.json`, `tokenizer.json`, `model.safetensors`: the layout of transformers'
  VisionTextDualEncoder without its text projection; `vision_config.stem` and the two `pooling` say what differs;
- `figures.json`: what the tests gave.
"""

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

import download
import exported
from common import parser
from evaluate import load_average, measure, one_line
from model import PATCH, ImageTower

ARCHITECTURE = "vision-text-dual-encoder"


def folded(tower: ImageTower) -> dict[str, torch.Tensor]:
    """The image tower's tensors under transformers' names, the stem's batch norms folded into its convolutions."""
    state, out = tower.state_dict(), {}
    place = "vision_model.embeddings.patch_embeddings."
    for i, norm in enumerate(tower.stem.norms):
        factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        out[f"{place}stem.{i}.weight"] = state[f"stem.convolutions.{i}.weight"] * factor[:, None, None, None]
        out[f"{place}stem.{i}.bias"] = norm.bias - norm.running_mean * factor
    for part in ("weight", "bias"):
        out[f"{place}projection.{part}"] = state[f"stem.projection.{part}"]
        out[f"vision_model.layernorm.{part}"] = state[f"norm.{part}"]
    out["vision_model.embeddings.cls_token"] = state["class_token"]
    out["vision_model.embeddings.position_embeddings"] = state["positions"]
    renamed = {
        "norm_before": "layernorm_before",
        "norm_after": "layernorm_after",
        "out": "attention.output.dense",
        "up": "intermediate.dense",
        "down": "output.dense",
    }
    for i in range(len(tower.blocks)):
        for part in ("weight", "bias"):
            for name, value in zip(("query", "key", "value"), state[f"blocks.{i}.qkv.{part}"].chunk(3)):
                out[f"vision_model.encoder.layer.{i}.attention.attention.{name}.{part}"] = value
            for ours, theirs in renamed.items():
                out[f"vision_model.encoder.layer.{i}.{theirs}.{part}"] = state[f"blocks.{i}.{ours}.{part}"]
    out["visual_projection.weight"] = state["projection.weight"]
    out["logit_scale"] = state["logit_scale"]
    return {name: value.detach().clone().contiguous() for name, value in out.items()}


def described(tower: ImageTower, text_config: dict) -> dict:
    """The export's config.json."""
    shape = tower.shape
    channels, strides = (list(one) for one in zip(*shape.stem))
    vision = {
        "model_type": "vit",
        "hidden_size": shape.width,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "intermediate_size": 4 * shape.width,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "image_size": shape.side,
        "patch_size": PATCH,
        "num_channels": 3,
        "qkv_bias": True,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "stem": {"channels": channels, "strides": strides, "kernel": 3, "padding": 1, "activation": "gelu"},
        "pooling": shape.pooling,
    }
    return {
        "architectures": ["VisionTextDualEncoderModel"],
        "model_type": ARCHITECTURE,
        "projection_dim": tower.projection.out_features,
        "vision_config": vision,
        "text_config": {**text_config, "pooling": "mean"},
    }


def preprocessor(side: int) -> dict:
    """What ViTImageProcessor reads: both sides resized, bicubic, to −1…1; transparent pictures are laid on white first."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_convert_rgb": True,
    }


def main() -> None:
    line = parser(__doc__.splitlines()[0])
    line.add_argument("--run", default="main", help="name of the training run")
    line.add_argument("--out", type=Path, help="folder to write (default: export, below the work folder)")
    args = line.parse_args()
    torch.set_num_threads(1)
    out = args.out or args.work / "export"
    out.mkdir(parents=True, exist_ok=True)
    tower = load_average(args.work / args.run / "checkpoint.pt")
    text_folder = download.text_tower(args.work / "downloads")
    words = load_file(text_folder / "model.safetensors")
    tensors = folded(tower)
    kept = {name: value for name, value in words.items() if value.is_floating_point() and not name.startswith("pooler.")}
    tensors |= {f"text_model.{name}": value for name, value in kept.items()}
    config = described(tower, json.loads((text_folder / "config.json").read_text()))
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})
    for name, content in (("config.json", config), ("preprocessor_config.json", preprocessor(tower.side))):
        (out / name).write_text(json.dumps(content, indent=2) + "\n")
    shutil.copy(text_folder / "tokenizer.json", out / "tokenizer.json")

    read_back, _ = exported.load(out)
    with torch.inference_mode():
        pixels = torch.rand(4, 3, tower.side, tower.side) * 2 - 1
        apart = (read_back(pixels) - tower(pixels)).abs().max().item()
    if apart > 1e-4:
        raise SystemExit(f"The export differs from the trained tower by {apart:.2g}.")
    figures = measure(read_back, args.work)
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(f"read back within {apart:.1g}")
    print(one_line(figures))


if __name__ == "__main__":
    main()
