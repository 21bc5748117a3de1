"""Operations as PyTorch computes them: layer norm and both forms of GELU.

Writes `ops.json`. Inputs are f32 numbers, written so that they read back exactly; outputs are computed in f64 from them and rounded to nine
digits, so that what differs from them is the error of the kernel under test alone.

    layer_norm: [{width, eps, weight [width], bias [width], x [rows, width], y [rows, width]}]
    gelu:       {x, erf, tanh}, each [n]; `erf` is PyTorch's approximate="none", `tanh` its approximate="tanh"
"""

import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from common import header, seeded, significant, write_json  # noqa: E402

SEED = 8
# (width, eps): odd ones, BERT's epsilon and OPUS-MT's, and one row whose mean hides its spread.
NORMS = [(1, 1e-5), (3, 1e-12), (31, 1e-5), (33, 1e-6), (384, 1e-12)]


def f32(values):
    return np.asarray(values, dtype=np.float32)


def layer_norm(random, width, eps):
    x = f32(random.normal(size=(4, width)) * 2)
    x[1] += np.float32(30)
    x[2] = np.float32(0.5)  # without spread
    weight, bias = f32(random.normal(size=width)), f32(random.normal(size=width))
    wide = [torch.tensor(v, dtype=torch.float64) for v in (x, weight, bias)]
    y = F.layer_norm(wide[0], (width,), wide[1], wide[2], eps)
    x, weight, bias = (significant(v, 9) for v in (x, weight, bias))
    return {"width": width, "eps": eps, "weight": weight, "bias": bias, "x": x, "y": significant(y, 9)}


def gelu():
    x = f32(np.concatenate([np.linspace(-12, 12, 385), [-1e30, -1e10, -1e3, -20, 20, 1e3, 1e10, 1e30, 1e-3, -1e-3, 1e-30]]))
    exact = torch.tensor(x, dtype=torch.float64)
    values = {"erf": F.gelu(exact), "tanh": F.gelu(exact, approximate="tanh")}
    return {"x": significant(x, 9), **{name: significant(value, 9) for name, value in values.items()}}


random = seeded(SEED)
write_json(
    Path(__file__).with_name("ops.json"),
    {**header("ops/generate.py", ["torch", "numpy"], SEED), "layer_norm": [layer_norm(random, *norm) for norm in NORMS], "gelu": gelu()},
)
