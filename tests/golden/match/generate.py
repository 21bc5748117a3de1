"""Twenty held-out pictures and their names through the default model of the Match tab, in PyTorch on the weights as its file has them.

Writes `golden.json` beside this script.

    python tests/golden/match/generate.py WORK

WORK is the work folder of `models/recipes/mini-clip`, whose code reads the file here; the pictures are its held-out style (OpenMoji,
CC BY-SA 4.0), 48 × 48 on white.

    pictures: [{name, rgb (hexadecimal, [side][side][3]), image [width], text [width], rank}]

Embeddings are of length one. `rank` is how many of the twenty names lie nearer to the picture than its own, by PyTorch.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))
from common import header, significant, write_json  # noqa: E402

# The recipe has a module of the same name.
del sys.modules["common"]
sys.path.insert(0, str(PROJECT / "models" / "recipes" / "mini-clip"))
import exported  # noqa: E402
from evaluate import embed  # noqa: E402
from publish import FILE, tensors_of  # noqa: E402
from text import TextTower  # noqa: E402

COUNT = 20


def main():
    work = Path(sys.argv[1])
    torch.set_num_threads(1)
    config = json.loads((work / "export" / "config.json").read_text())
    shapes = exported.load(work / "export")[1]
    tensors = {name: value.reshape(shapes[name].shape) for name, value in tensors_of(FILE).items()}
    tower = exported.ExportedTower(config, tensors).eval()
    text = TextTower(work / "downloads" / "text")
    text.model.load_state_dict({n.removeprefix("text_model."): v for n, v in tensors.items() if n.startswith("text_model.")})
    data = json.loads((work / "data.json").read_text())
    style = data["tests"]["style"]
    every = len(style["rows"]) // COUNT
    chosen = [i * every for i in range(COUNT)]
    rows = [style["rows"][i] for i in chosen]
    names = [data["names"][style["answers"][i]] for i in chosen]
    pixels = np.load(work / f"test{tower.side}.npy")[rows]
    images = embed(tower, torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1)
    texts = torch.from_numpy(text.embed(names))
    scores = images @ texts.T
    ranks = (scores > scores.diagonal()[:, None]).sum(1).tolist()
    pictures = [
        {"name": names[i], "rgb": pixels[i].tobytes().hex(), "image": significant(images[i]), "text": significant(texts[i]), "rank": ranks[i]}
        for i in range(COUNT)
    ]
    facts = {"side": tower.side, "first": ranks.count(0)}
    write_json(HERE / "golden.json", {"header": header("tests/golden/match/generate.py", ["torch", "transformers", "gguf"], **facts), "pictures": pictures})
    print(f"{ranks.count(0)} of {COUNT} first")


if __name__ == "__main__":
    main()
