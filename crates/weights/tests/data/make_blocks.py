"""Writes blocks.bin: random blocks of every encoding with what gguf-py decodes them to, and rounded.bin: numbers with the
Q8_0 blocks that gguf-py rounds them to.

    pip install gguf==0.19.0 numpy
    python make_blocks.py

Little-endian, for each encoding in turn: u32 ggml type, u32 bytes, u32 values, the bytes, the values as f32.
Scales are finite; the first three blocks have the smallest, the largest and a negative zero one. F32, F16 and BF16 are
any bits, NaN among them.

rounded.bin: u32 values, the values as f32 (of all sizes; zeros, halves between two steps, one block whose scale is
subnormal in f16), then the blocks.
"""

import struct
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as T
from gguf.constants import GGML_QUANT_SIZES
from gguf.quants import dequantize, quantize

BLOCKS = {T.F32: 64, T.F16: 256, T.BF16: 256, T.Q4_0: 24, T.Q4_1: 24, T.Q8_0: 24}
HALVES = {T.Q4_0: 1, T.Q4_1: 2, T.Q8_0: 1}  # f16 numbers in front of a block

rng = np.random.default_rng(20)
out = bytearray()
for kind, count in BLOCKS.items():
    size = GGML_QUANT_SIZES[kind][1]
    blocks = rng.integers(0, 256, (count, size), dtype=np.uint8)
    if kind in HALVES:
        scales = rng.normal(0, 0.02, (count, HALVES[kind])).astype(np.float16)
        scales[0] = np.float16(6e-8)  # the smallest subnormal
        scales[1] = np.float16(65504)  # the largest
        scales[2] = np.float16(-0.0)
        blocks[:, : 2 * HALVES[kind]] = scales.view(np.uint8).reshape(count, -1)
    data = blocks.reshape(-1)
    values = dequantize(data.view(np.float32 if kind == T.F32 else np.float16 if kind == T.F16 else np.uint8), kind)
    values = values.reshape(-1).astype("<f4")
    out += struct.pack("<III", int(kind), data.size, values.size) + data.tobytes() + values.tobytes()

Path(__file__).with_name("blocks.bin").write_bytes(out)
print(len(out), "bytes")

rng = np.random.default_rng(21)
rows = rng.normal(0, 1, (24, 32)).astype(np.float32) * np.float32(10) ** rng.uniform(-3, 3, (24, 1)).astype(np.float32)
rows[0] = 0
rows[1] = np.linspace(-1, 1, 32, dtype=np.float32) * np.float32(1e-5)
rows[2] = np.arange(32) - 15.5  # the largest is 16.5 below: halves come out of it
rows[2, 0] = 127
values = rows.reshape(-1).astype("<f4")
out = struct.pack("<I", values.size) + values.tobytes() + quantize(rows, T.Q8_0).tobytes()
Path(__file__).with_name("rounded.bin").write_bytes(out)
print(len(out), "bytes")
