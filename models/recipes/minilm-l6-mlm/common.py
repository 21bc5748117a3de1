"""What every command of the recipe shares: where files live and how they are written."""

import json
import os
from pathlib import Path

RECIPE = Path(__file__).resolve().parent


def user_cache() -> Path:
    """The project's folder in the user's cache: `GLASSFORMER_CACHE`, or a folder of its own in the user's cache."""
    if os.environ.get("GLASSFORMER_CACHE"):
        return Path(os.environ["GLASSFORMER_CACHE"])
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "glassformer"


def add_folders(parser) -> None:
    """Adds `--work` (what the recipe makes) and `--start` (the checkpoint it sets out from)."""
    cache = user_cache()
    parser.add_argument("--work", type=Path, default=cache / "recipes" / "minilm-l6-mlm",
                        help="folder for data, checkpoints and the log (default: %(default)s)")
    parser.add_argument("--start", type=Path, default=cache / "models" / "minilm-l6-mlm-first",
                        help="folder of the model to set out from: config.json, model.safetensors, tokenizer.json; "
                             "prepare.py makes one where there is none (default: %(default)s)")


VALIDATION = RECIPE / "validation.txt"  # held-out passages, one a line


def read_probes() -> list:
    """The probe sentences, each with the words one expects."""
    return json.loads((RECIPE / "probes.json").read_text())


def replace_file(path: Path, write) -> None:
    """Calls `write(temporary path)` and puts the result at `path` in one step: a stop never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".new")
    write(temporary)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)
