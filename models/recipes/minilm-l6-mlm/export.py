"""Export: the best weights as f16 in Hugging Face's names, with config.json and tokenizer.json.

    python export.py [--to FOLDER]

Writes what `BertForMaskedLM` loads; the decoder's weight is tied to the word embeddings and left out. The figures of the
weights go along as `figures.json` (measured before rounding to f16; `evaluate.py` measures the rounded file).
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from common import add_folders, replace_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folders(parser)
    parser.add_argument("--to", type=Path, help="default: `export` in the work folder")
    options = parser.parse_args()
    best = options.work / "best.safetensors"
    if not best.exists():
        sys.exit(f"{best} is not there yet: train.py writes it at its first validation.")
    to = options.to or options.work / "export"
    to.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.half() for name, tensor in load_file(best).items()}
    worst = max(float(tensor.abs().max()) for tensor in weights.values())
    if not torch.isfinite(torch.tensor(worst)):
        sys.exit("A weight does not fit into f16; nothing was written.")
    # `format` is what Hugging Face's loader asks for.
    replace_file(to / "model.safetensors", lambda path: save_file(weights, path, metadata={"format": "pt"}))
    for name in ("config.json", "tokenizer.json"):
        shutil.copyfile(options.start / name, to / name)
    shutil.copyfile(options.work / "best.json", to / "figures.json")
    figures = json.loads((to / "figures.json").read_text())
    print(f"{to}: {len(weights)} tensors, step {figures['step']}, top-1 {figures['top1']:.2%}, top-5 {figures['top5']:.2%}")


if __name__ == "__main__":
    main()
