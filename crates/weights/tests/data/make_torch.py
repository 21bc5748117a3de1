"""Writes torch.bin and torch-before-1.6.bin, the same tensors as PyTorch writes them since 1.6 and as it did before.

    pip install torch==2.5.1 numpy
    python make_torch.py

Tensors of every kind that is read, two that share their bytes, one in the middle of another's, a scalar, integers, which are
passed over; and refused ones: turned.bin, whose matrix lies transposed, and whole.bin, a module instead of its tensors.
"""

from collections import OrderedDict
from pathlib import Path

import torch

HERE = Path(__file__).parent
torch.manual_seed(1)
wide = torch.arange(12, dtype=torch.float32) / 8
tensors = OrderedDict(
    {
        "wide": wide.reshape(3, 4),
        "half": torch.tensor([0.5, -1.5, 65504.0], dtype=torch.float16),
        "brain": torch.tensor([[1.0], [-2.0]], dtype=torch.bfloat16),
        "position_ids": torch.arange(7),
        "shared": wide.reshape(3, 4),
        "middle": wide[4:8],
        "parameter": torch.nn.Parameter(torch.tensor([3.0])),
        "scalar": torch.tensor(7.0),
    }
)
torch.save(tensors, HERE / "torch.bin")
torch.save(tensors, HERE / "torch-before-1.6.bin", _use_new_zipfile_serialization=False)
torch.save({"turned": wide.reshape(3, 4).T}, HERE / "turned.bin")
torch.save(torch.nn.Linear(2, 1), HERE / "whole.bin")
