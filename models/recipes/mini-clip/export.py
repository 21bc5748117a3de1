"""Export: both towers as one dual encoder, in f32 and in 8 bits, each read back and measured.

Writes into `--out`
- `config.json`, `preprocessor_config.json`, `tokenizer.json`, `model.safetensors` (f32): the layout of transformers'
  VisionTextDualEncoder without its text projection; `vision_config.stem` and the two `pooling` say what differs;
- `mini-clip.Q8_0.gguf`: the same tensors under the same names, matrices in blocks of 32 with one f16 scale, the rest f32.
- `figures.json`: what the tests gave for each of the two.
"""

import json
import shutil
from pathlib import Path

import gguf
import numpy as np
import torch
from safetensors.torch import load_file, save_file

import download
import exported
from common import TEMPLATES, parser
from evaluate import load_average, measure, one_line
from model import PATCH, ImageTower
from text import TextTower

ARCHITECTURE = "vision-text-dual-encoder"
MOST_BYTES = 32_000_000


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


def write_gguf(path: Path, config: dict, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Writes the 8-bit file and returns the tensors as a reader of it gets them."""
    writer = gguf.GGUFWriter(path, ARCHITECTURE)
    writer.add_name("mini-clip")
    writer.add_string(f"{ARCHITECTURE}.config", json.dumps(config))
    kind, back = gguf.GGMLQuantizationType.Q8_0, {}
    for name, tensor in tensors.items():
        values = np.atleast_1d(tensor.numpy())
        if values.ndim == 2 and values.shape[1] % 32 == 0:
            packed = gguf.quants.quantize(values, kind)
            writer.add_tensor(name, packed, raw_dtype=kind)
            back[name] = torch.from_numpy(gguf.quants.dequantize(packed, kind))
        else:
            writer.add_tensor(name, values)
            back[name] = tensor
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return back


def in_eight_bits(args, config: dict, tensors: dict[str, torch.Tensor]) -> dict:
    """The tests with both towers in 8 bits."""
    tower = exported.ExportedTower(config, tensors).eval()
    text = TextTower(args.work / "downloads" / "text")
    text.model.load_state_dict({n.removeprefix("text_model."): v for n, v in tensors.items() if n.startswith("text_model.")})
    everything = json.loads((args.work / "data.json").read_text())["names"]
    return measure(tower, args.work, names=torch.from_numpy(text.embed([TEMPLATES[0].format(name) for name in everything])))


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
    small = out / "mini-clip.Q8_0.gguf"
    back = write_gguf(small, config, tensors)
    if small.stat().st_size > MOST_BYTES:
        raise SystemExit(f"The 8-bit file has {small.stat().st_size} bytes, more than {MOST_BYTES}.")
    figures = {"f32": measure(read_back, args.work), "q8_0": in_eight_bits(args, config, back)}
    (out / "figures.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(f"read back within {apart:.1g}; {small.name}: {small.stat().st_size / 1e6:.1f} MB")
    for kind, figure in figures.items():
        print(f"{kind}: {one_line(figure)}")


if __name__ == "__main__":
    main()
