"""Paths and small things every step of the recipe shares."""

import argparse
import os
from pathlib import Path

RECIPE = Path(__file__).resolve().parent
STORED = 96  # side of a stored picture, pixels
SIZES = (32, 48, 64)  # sides a model may be trained and tested at
TEMPLATES = ("{}", "a picture of a {}", "{} icon", "a photo of a {}")


def work_folder() -> Path:
    """Where downloads, arrays and checkpoints live: MINI_CLIP_WORK, or a folder in the user's cache."""
    chosen = os.environ.get("MINI_CLIP_WORK")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "glassformer" / "recipes" / "mini-clip"


def parser(description: str) -> argparse.ArgumentParser:
    """A command line that already knows `--work`."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--work", type=Path, default=work_folder(), help="work folder (default: %(default)s)")
    return made


def replace(path: Path, write) -> None:
    """Writes a file through a neighbour and renames it, so that a stop never leaves half of one."""
    beside = path.with_name(path.name + ".part")
    write(beside)
    with open(beside, "rb") as written:
        os.fsync(written.fileno())
    os.replace(beside, path)
