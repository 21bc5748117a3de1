"""Evaluation: how often a held-out picture's own name is the nearest of all names, or among the nearest five or ten.

Run by itself it measures the running average of the weights in a checkpoint.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

import data
from common import parser
from model import ImageTower, Shape

CHOICES = (1, 5, 10)


@torch.inference_mode()
def embed(tower: torch.nn.Module, pixels: torch.Tensor, batch: int = 128) -> torch.Tensor:
    """Unit rows `[pictures, 384]`."""
    tower.eval()
    return torch.cat([F.normalize(tower(part).float(), dim=-1) for part in pixels.split(batch)])


def ranks(images: torch.Tensor, names: torch.Tensor, answers: list[int], among: list[int]) -> torch.Tensor:
    """How many of the names `among` lie nearer than the picture's own; 0 is first. `[pictures]`."""
    scores = images @ names.T
    own = scores[torch.arange(len(answers)), torch.tensor(answers)]
    return (scores[:, among] > own[:, None]).sum(1)


def measure(tower: torch.nn.Module, work: Path, template: int = 0, names: torch.Tensor | None = None) -> dict[str, dict]:
    """Every test: its top-1, top-5 and top-10 in per cent, its pictures and names. `names` replaces the prepared embeddings."""
    tests = json.loads((work / "data.json").read_text())["tests"]
    images = embed(tower, data.test_pictures(work, tower.side))
    words = data.names(work)[template] if names is None else names
    figures = {}
    for test, rows in tests.items():
        lists = {test: rows["names"]}
        if "all names" in rows:
            lists[f"{test}, all names"] = rows["all names"]
        for title, among in lists.items():
            places = ranks(images[rows["rows"]], words, rows["answers"], among)
            top = {f"top{k}": round(100 * (places < k).float().mean().item(), 1) for k in CHOICES}
            figures[title] = {**top, "pictures": len(places), "names": len(among)}
    return figures


def one_line(figures: dict[str, dict]) -> str:
    return " | ".join(f"{test} {f['top1']}/{f['top5']}/{f['top10']} of {f['names']}" for test, f in figures.items())


def load_average(checkpoint: Path) -> ImageTower:
    """The running average of the weights in a checkpoint."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    tower = ImageTower(Shape(**saved["shape"]))
    tower.load_state_dict(saved["average"])
    return tower.eval()


def main() -> None:
    line = parser(__doc__.splitlines()[0])
    line.add_argument("--run", default="main", help="name of the training run")
    line.add_argument("--template", type=int, default=0, help="0 {}, 1 a picture of a {}, 2 {} icon, 3 a photo of a {}")
    args = line.parse_args()
    torch.set_num_threads(1)
    tower = load_average(args.work / args.run / "checkpoint.pt")
    for test, figure in measure(tower, args.work, args.template).items():
        print(f"{test:28} top-1 {figure['top1']:5.1f} %  top-5 {figure['top5']:5.1f} %  top-10 {figure['top10']:5.1f} %"
              f"  ({figure['pictures']} pictures, {figure['names']} names)")  # fmt: skip


if __name__ == "__main__":
    main()
