"""Quality: the held-out pictures and the names through `glassformer match`, on the CPU.

    python quality.py --glassformer PATH/glassformer

The published file is measured as it is, by the engine that the page runs: how often a held-out picture's own name is the
nearest of all names, or among the nearest five or ten. `prepare.py` makes the pictures; it is run if it has not been.
"""

import json
import subprocess
import sys
from pathlib import Path

import gguf
import numpy as np
from PIL import Image

from common import RECIPE, TEMPLATES, parser

FILE = RECIPE.parents[2] / "models" / "mini-clip" / "mini-clip.Q8_0.gguf"
CHOICES = (1, 5, 10)


def side_of(file: Path) -> int:
    """Pixels of a side of what the model sees."""
    config = gguf.GGUFReader(file).fields["glassformer.config.json"]
    return json.loads(bytes(config.parts[config.data[0]]))["vision_config"]["image_size"]


def write_pictures(work: Path, side: int) -> list[Path]:
    """The held-out pictures as files, of the size that the model sees, so that nothing is resized again."""
    folder = work / f"test{side}"
    folder.mkdir(exist_ok=True)
    files = []
    for row, pixels in enumerate(np.load(work / f"test{side}.npy")):
        files.append(folder / f"{row:04}.png")
        Image.fromarray(pixels).save(files[-1])
    return files


def scores(shell: str, pictures: list[Path], texts: list[str]) -> np.ndarray:
    """Cosines `[pictures, texts]`, as the shell prints them."""
    command = [shell, "match", "--model", FILE, "--backend", "cpu", "--template", TEMPLATES[0], "--json"]
    asked = [*command, "--image", *pictures, "--text", *texts]
    said = subprocess.run(asked, check=True, stdout=subprocess.PIPE).stdout
    return np.array(json.loads(said)["scores"])


def main() -> None:
    line = parser(__doc__.splitlines()[0])
    line.add_argument("--glassformer", required=True, help="a built shell")
    args = line.parse_args()
    if not (args.work / "data.json").exists():
        subprocess.run([sys.executable, RECIPE / "prepare.py", "--work", args.work], check=True)
    data = json.loads((args.work / "data.json").read_text())
    pictures = write_pictures(args.work, side_of(FILE))
    found = scores(args.glassformer, pictures, data["names"])
    for test, rows in data["tests"].items():
        of = found[rows["rows"]]
        own = of[np.arange(len(of)), rows["answers"]]
        lists = {test: rows["names"]}
        if "all names" in rows:
            lists[f"{test}, all names"] = rows["all names"]
        for title, among in lists.items():
            nearer = (of[:, among] > own[:, None]).sum(1)
            top = "  ".join(f"top-{k} {100 * (nearer < k).mean():5.1f} %" for k in CHOICES)
            print(f"{title:24} {top}  ({len(of)} pictures, {len(among)} names)")


if __name__ == "__main__":
    main()
