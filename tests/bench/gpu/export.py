"""Writes the matrix products and attentions that `cargo xtask bench gpu` times, in the shapes of
SmolLM2-135M: ONNX models for onnxruntime-web, and the same numbers for our executor.

    python export.py FOLDER

Each model holds LAYERS operations with weights or caches of their own, as a transformer does, so
that what an engine spends on a run, beside computing, is shared by them.

Axes: [rows, in] times [out, in]; queries [position, head, head_dim].
"""

import json
import math
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS = 8
HIDDEN, FEED_FORWARD = 576, 1536
HEADS, KV_HEADS, HEAD_DIM = 9, 3, 64
# Weights of one scale.
BLOCK = 32
# Positions that a cache has room for.
CAPACITY = 512
SCALE = 1 / math.sqrt(HEAD_DIM)
OPSET = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
FLOAT = TensorProto.FLOAT


def value(name, shape):
    return helper.make_tensor_value_info(name, FLOAT, shape)


def save(folder, name, nodes, inputs, outputs, constants):
    constants = [numpy_helper.from_array(array, key) for key, array in constants.items()]
    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=OPSET, ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, folder / f"{name}.onnx")


def quantise(weight):
    """Blocks of w = d·(q − 8) with an f16 d: `q` [.., blocks, 32] and `d` [.., blocks, 1]."""
    blocks = weight.reshape(*weight.shape[:-1], -1, BLOCK)
    extreme = np.take_along_axis(blocks, np.abs(blocks).argmax(-1, keepdims=True), -1)
    d = (extreme / -8).astype(np.float16)
    q = np.clip(np.rint(blocks / d.astype(np.float32)) + 8, 0, 15).astype(np.uint8)
    return q, d


def q4_1(q, d):
    """The bytes of GGUF's Q4_1: d, m = −8d, then element n below element n + 16 in each byte."""
    nibbles = q[..., : BLOCK // 2] | q[..., BLOCK // 2 :] << 4
    scales = np.concatenate([d, d * np.float16(-8)], -1).view(np.uint8)
    return np.concatenate([scales, nibbles], -1)


def products(folder, random):
    """x · Wᵀ of each layer, in full and in 4 bits."""
    x = random.standard_normal((32, HIDDEN), np.float32)
    weights = random.standard_normal((LAYERS, FEED_FORWARD, HIDDEN), np.float32) / math.sqrt(HIDDEN)
    q, d = quantise(weights)
    x.tofile(folder / "x.bin")
    weights.tofile(folder / "weights-f32.bin")
    q4_1(q, d).tofile(folder / "weights-q4.bin")
    # ONNX has neighbours in one byte.
    packed = q[..., 0::2] | q[..., 1::2] << 4

    for rows in (32, 1):
        for encoding in ("f32", "q4"):
            nodes, constants = [], {}
            for layer in range(LAYERS):
                w, s, y = f"w{layer}", f"s{layer}", f"y{layer}"
                if encoding == "f32":
                    constants[w] = np.ascontiguousarray(weights[layer].T)
                    nodes.append(helper.make_node("MatMul", ["x", w], [y]))
                else:
                    constants[w] = packed[layer]
                    constants[s] = d[layer, :, :, 0].astype(np.float32)
                    nodes.append(
                        helper.make_node(
                            "MatMulNBits", ["x", w, s], [y], domain="com.microsoft",
                            K=HIDDEN, N=FEED_FORWARD, bits=4, block_size=BLOCK,
                        )
                    )
            outputs = [value(f"y{layer}", [1, rows, FEED_FORWARD]) for layer in range(LAYERS)]
            inputs = [value("x", [1, rows, HIDDEN])]
            save(folder, f"product-{encoding}-{rows}", nodes, inputs, outputs, constants)


def attentions(folder, random):
    """Causal attention with a cache, as one operation and as plain ones."""
    query = random.standard_normal((32, HEADS, HEAD_DIM), np.float32)
    query.tofile(folder / "query.bin")
    for q_len, kv_len in ((32, 128), (1, 257)):
        keys = random.standard_normal((LAYERS, kv_len, KV_HEADS, HEAD_DIM), np.float32)
        values = random.standard_normal((LAYERS, kv_len, KV_HEADS, HEAD_DIM), np.float32)
        keys.tofile(folder / f"keys-{q_len}.bin")
        values.tofile(folder / f"values-{q_len}.bin")
        grouped(folder, q_len, kv_len)
        plain(folder, q_len, kv_len, keys, values)


def grouped(folder, q_len, kv_len):
    """Appends to caches [1, head, CAPACITY, head_dim] in place, then attends."""
    kv_width = KV_HEADS * HEAD_DIM
    cache = [1, KV_HEADS, CAPACITY, HEAD_DIM]
    constants = {
        "last": np.array([kv_len - 1], np.int32),
        "total": np.array(kv_len, np.int32),
    }
    inputs = [value("query", [1, q_len, HEADS * HEAD_DIM])]
    nodes, outputs = [], []
    for layer in range(LAYERS):
        names = [f"{name}{layer}" for name in ("key", "value", "past_key", "past_value")]
        outs = [f"{name}{layer}" for name in ("y", "present_key", "present_value")]
        nodes.append(
            helper.make_node(
                "GroupQueryAttention", ["query", *names, "last", "total"], outs,
                domain="com.microsoft", num_heads=HEADS, kv_num_heads=KV_HEADS, scale=SCALE,
            )
        )
        new = [1, q_len, kv_width]
        inputs += [value(name, shape) for name, shape in zip(names, [new, new, cache, cache])]
        shapes = [[1, q_len, HEADS * HEAD_DIM], cache, cache]
        outputs += [value(name, shape) for name, shape in zip(outs, shapes)]
    save(folder, f"attention-grouped-{q_len}", nodes, inputs, outputs, constants)


def plain(folder, q_len, kv_len, keys, values):
    """The queries of a key head as further rows: [key head, group · position, head_dim]."""
    group = HEADS // KV_HEADS
    seen = np.arange(kv_len)[None, :] <= np.arange(kv_len - q_len, kv_len)[:, None]
    mask = np.where(seen, 0, np.finfo(np.float32).min).astype(np.float32)
    constants = {
        "scale": np.array(SCALE, np.float32),
        "mask": np.tile(mask, (group, 1)),
        "by_head": np.array([KV_HEADS, group * q_len, HEAD_DIM], np.int64),
        "apart": np.array([HEADS, q_len, HEAD_DIM], np.int64),
        "joined": np.array([1, q_len, HEADS * HEAD_DIM], np.int64),
        "heads": np.array([q_len, HEADS, HEAD_DIM], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Reshape", ["query", "heads"], ["q_heads"]),
        node("Transpose", ["q_heads"], ["q_first"], perm=[1, 0, 2]),
        node("Reshape", ["q_first", "by_head"], ["q"]),
        node("Mul", ["q", "scale"], ["scaled"]),
    ]
    for n in range(LAYERS):
        constants[f"k{n}"] = np.ascontiguousarray(keys[n].transpose(1, 2, 0))
        constants[f"v{n}"] = np.ascontiguousarray(values[n].transpose(1, 0, 2))
        nodes += [
            node("MatMul", ["scaled", f"k{n}"], [f"scores{n}"]),
            node("Add", [f"scores{n}", "mask"], [f"masked{n}"]),
            node("Softmax", [f"masked{n}"], [f"probs{n}"], axis=-1),
            node("MatMul", [f"probs{n}", f"v{n}"], [f"context{n}"]),
            node("Reshape", [f"context{n}", "apart"], [f"apart{n}"]),
            node("Transpose", [f"apart{n}"], [f"turned{n}"], perm=[1, 0, 2]),
            node("Reshape", [f"turned{n}", "joined"], [f"y{n}"]),
        ]
    shape = [1, q_len, HEADS * HEAD_DIM]
    outputs = [value(f"y{n}", shape) for n in range(LAYERS)]
    save(folder, f"attention-plain-{q_len}", nodes, [value("query", shape)], outputs, constants)


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(7)
    products(folder, random)
    attentions(folder, random)
    sizes = {
        "layers": LAYERS, "hidden": HIDDEN, "feedForward": FEED_FORWARD, "heads": HEADS,
        "kvHeads": KV_HEADS, "headDim": HEAD_DIM, "capacity": CAPACITY,
    }
    (folder / "sizes.json").write_text(json.dumps(sizes))


if __name__ == "__main__":
    main()
