"""Shared by the golden-value generators: compact deterministic JSON, rounding, one header for every file."""

import json
import math
from importlib.metadata import version
from pathlib import Path

import numpy as np


def significant(value, digits=7):
    """`value` (number, nested list, array or tensor) rounded to `digits` significant digits, as plain Python numbers.

    Seven digits keep an f32 within 5e-7 relative; exact zeros become the integer 0 so that masked entries stay short.
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [significant(v, digits) for v in value]
    assert math.isfinite(value), value
    return 0 if value == 0 else float(f"{value:.{digits}g}")


def header(generator, packages, seed=None, **facts):
    """The object every golden file starts with: who wrote it, with which versions, from which seed."""
    return {"generator": generator, "versions": {p: version(p) for p in packages}, "seed": seed, **facts}


def write_json(path, value):
    """Writes `value` on one line without spaces; non-ASCII text stays readable, NaN and infinity are refused."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False) + "\n"
    path.write_text(text, encoding="utf-8")
    print(f"{path.name}: {len(text.encode()):,} bytes")


def seeded(seed):
    """NumPy generator whose stream does not depend on the PyTorch version."""
    return np.random.default_rng(seed)
