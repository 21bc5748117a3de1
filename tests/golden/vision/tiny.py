"""Small seeded random models that see pictures, with their numbers, from PyTorch in f32.

Writes, beside this script, with no network and no other model, a folder for each of `MODELS`: `config.json`,
`model.safetensors` and `golden.json`.

    python tests/golden/vision/tiny.py

Weights are drawn in NumPy so that attention is far from uniform, rounded to the stored type, and the reference is then
computed in f32 on the rounded values. Towers of the pairs are transformers' own ViT and BERT; what stands between and
behind them (the convolutions of a stem, the mean over positions, the projections) is written here.

    image: {pixels [batch][side · side][channels], output [batch][width], attention [layer][batch][head][place][place]}
    text:  {ids [batch][q_len], types [batch][q_len], lengths [batch], output [batch][width],
            attention [layer][batch][head][length][length]}, null where nothing is read
    scale: logit_scale, null where there is none
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import header, seeded, significant, write_json  # noqa: E402

GENERATOR = "tests/golden/vision/tiny.py"
PACKAGES = ["torch", "transformers", "numpy", "safetensors"]
PICTURES = 3
LENGTHS = [7, 12, 3]

SEES = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3,
        "num_channels": 3}  # fmt: skip
READS = {"hidden_size": 20, "intermediate_size": 36, "num_hidden_layers": 2, "num_attention_heads": 4,
         "max_position_embeddings": 16}  # fmt: skip
STEM = {"channels": [5, 7, 9], "strides": [2, 1, 2], "kernel": 3, "padding": 1, "activation": "gelu"}


def draw(model, rng):
    """Seeded normals: matrices ~0.3, embeddings ~0.5, biases ~0.2, norms around 1."""
    for name, parameter in sorted(model.named_parameters()):
        values = rng.standard_normal(parameter.shape)
        if "norm" in name.lower() or "layrnorm" in name:
            values = 0.2 * values + (0 if name.endswith("bias") else 1)
        elif name.endswith("logit_scale"):
            values = 2.5 + 0 * values
        elif "embed" in name or "token" in name:
            values *= 0.5
        else:
            values *= 0.2 if name.endswith("bias") else 0.3
        parameter.data = torch.from_numpy(np.asarray(values, np.float32))
    return model.eval()


def clip(act):
    config = transformers.CLIPConfig(
        vision_config={**SEES, "image_size": 24, "patch_size": 8, "hidden_act": act, "attn_implementation": "eager"},
        text_config={**READS, "vocab_size": 50, "eos_token_id": 49, "bos_token_id": 48, "pad_token_id": 0, "hidden_act": act,
                     "attn_implementation": "eager"},
        projection_dim=12, attn_implementation="eager",
    )  # fmt: skip
    return transformers.CLIPModel(config)


def classifier(kind):
    name = {"vit": "ViT", "deit": "DeiT"}[kind]
    config = getattr(transformers, f"{name}Config")(
        **SEES, image_size=15, patch_size=5, num_labels=5, qkv_bias=kind == "vit", attn_implementation="eager"
    )
    return getattr(transformers, f"{name}ForImageClassification")(config)


class Dual(torch.nn.Module):
    """A ViT beside a BERT, as `VisionTextDualEncoder` names them, with the pooling of the config instead of poolers."""

    def __init__(self, stem, pooling, text_pooling, projected):
        super().__init__()
        vision = transformers.ViTConfig(**SEES, image_size=16, patch_size=4, attn_implementation="eager")
        text = transformers.BertConfig(**READS, vocab_size=50, attn_implementation="eager")
        self.vision_model = transformers.ViTModel(vision, add_pooling_layer=False)
        self.text_model = transformers.BertModel(text, add_pooling_layer=False)
        self.pooling, self.text_pooling = pooling, text_pooling
        width = 12 if projected else READS["hidden_size"]
        self.visual_projection = torch.nn.Linear(SEES["hidden_size"], width, bias=False)
        if projected:
            self.text_projection = torch.nn.Linear(READS["hidden_size"], width, bias=False)
        self.logit_scale = torch.nn.Parameter(torch.tensor(1.0))
        patches = self.vision_model.embeddings.patch_embeddings
        if stem:
            pairs = zip([3, *STEM["channels"]], STEM["channels"])
            convolutions = [
                torch.nn.Conv2d(before, after, 3, stride, 1) for (before, after), stride in zip(pairs, STEM["strides"])
            ]
            patches.stem = torch.nn.ModuleList(convolutions)
            patches.projection = torch.nn.Conv2d(STEM["channels"][-1], SEES["hidden_size"], 1)
        text_config = {**text.to_diff_dict(), **READS, "pooling": text_pooling}
        vision_config = {**vision.to_diff_dict(), **SEES, "image_size": 16, "patch_size": 4, "pooling": pooling}
        if stem:
            vision_config["stem"] = STEM
        self.config = {
            "model_type": "vision-text-dual-encoder", "projection_dim": width, "vision_config": vision_config,
            "text_config": text_config,
        }  # fmt: skip

    def image(self, pixels):
        vision = self.vision_model
        patches = vision.embeddings.patch_embeddings
        x = pixels
        for convolution in getattr(patches, "stem", []):
            x = F.gelu(convolution(x))
        x = patches.projection(x).flatten(2).transpose(1, 2)
        first = vision.embeddings.cls_token.expand(len(x), -1, -1)
        x = torch.cat([first, x], 1) + vision.embeddings.position_embeddings
        out = vision.encoder(x, output_attentions=True)
        x = vision.layernorm(out.last_hidden_state)
        x = x[:, 0] if self.pooling == "cls" else x[:, 1:].mean(1)
        return self.visual_projection(x), out.attentions

    def text(self, ids, types, mask):
        out = self.text_model(input_ids=ids, token_type_ids=types, attention_mask=mask, output_attentions=True)
        x = out.last_hidden_state
        if self.text_pooling == "mean":
            x = (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        else:
            x = x[:, 0]
        return (self.text_projection(x) if hasattr(self, "text_projection") else x), out.attentions


MODELS = {
    "tiny-clip": (501, torch.float32, "f32, quick GELU", lambda: clip("quick_gelu")),
    "tiny-clip-gelu": (502, torch.float16, "f16, GELU", lambda: clip("gelu")),
    "tiny-vit": (503, torch.float32, "f32, five labels", lambda: classifier("vit")),
    "tiny-deit": (504, torch.bfloat16, "bf16, a second learned token, no biases of query, key, value", lambda: classifier("deit")),
    "tiny-dual": (505, torch.float32, "f32, class tokens, both projected", lambda: Dual(False, "cls", "cls", True)),
    "tiny-dual-stem": (506, torch.float32, "f32, a stem of convolutions, means", lambda: Dual(True, "mean", "mean", False)),
}  # fmt: skip


def run_image(model, pixels):
    if isinstance(model, Dual):
        return model.image(pixels)
    if isinstance(model, transformers.CLIPModel):
        out = model.vision_model(pixels, output_attentions=True)
        return model.visual_projection(out.pooler_output), out.attentions
    out = model(pixels, output_attentions=True)
    return out.logits, out.attentions


def run_text(model, ids, types, mask):
    if isinstance(model, Dual):
        return model.text(ids, types, mask)
    out = model.text_model(input_ids=ids, attention_mask=mask, output_attentions=True)
    return model.text_projection(out.pooler_output), out.attentions


def image_of(model, rng, side):
    pixels = rng.standard_normal((PICTURES, 3, side, side)).astype(np.float32)
    pixels = np.asarray(significant(pixels), np.float32)
    output, attentions = run_image(model, torch.from_numpy(pixels))
    by_pixel = pixels.transpose(0, 2, 3, 1).reshape(PICTURES, side * side, 3)
    return {
        "pixels": significant(by_pixel),
        "output": significant(output),
        "attention": [significant(layer) for layer in attentions],
    }


def text_of(model, rng, last):
    longest = max(LENGTHS)
    ids, mask = np.zeros((len(LENGTHS), longest), int), np.zeros((len(LENGTHS), longest), int)
    for row, length in enumerate(LENGTHS):
        ids[row, :length] = rng.integers(1, 48, length)
        ids[row, length - 1] = last
        mask[row, :length] = 1
    types = np.zeros_like(ids)
    output, attentions = run_text(model, *map(torch.from_numpy, (ids, types, mask)))
    rows = range(len(LENGTHS))
    return {
        "ids": ids.tolist(), "types": types.tolist(), "lengths": LENGTHS, "output": significant(output),
        "attention": [
            [significant(layer[row, :, : LENGTHS[row], : LENGTHS[row]]) for row in rows] for layer in attentions
        ],
    }  # fmt: skip


@torch.no_grad()
def write_model(name, seed, dtype, about, make):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    model = draw(make(), seeded(seed)).to(dtype)
    weights = {key: value.contiguous().clone() for key, value in model.state_dict().items() if value.is_floating_point()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)
    config = model.config if isinstance(model, Dual) else model.config.to_dict()
    write_json(folder / "config.json", config)
    model = model.float()
    rng = seeded(seed + 1000)
    vision = config.get("vision_config", config)
    reads = "text_config" in config
    golden = {
        "header": header(GENERATOR, PACKAGES, seed, about=about),
        "image": image_of(model, rng, vision["image_size"]),
        "text": text_of(model, rng, 49) if reads else None,
        "scale": float(model.logit_scale) if reads else None,
    }
    write_json(folder / "golden.json", golden)
    sharpest = np.mean([np.max(row) for layer in golden["image"]["attention"] for b in layer for h in b for row in h])
    print(f"  {name}: mean of the largest attention weight {sharpest:.2f}")


def main():
    torch.set_num_threads(1)
    for name, spec in MODELS.items():
        write_model(name, *spec)


if __name__ == "__main__":
    main()
