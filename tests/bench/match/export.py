"""Writes both towers of the Match tab's model as ONNX for `cargo xtask bench match`, with the weights of our own file in f32.

    python export.py MODEL.gguf FOLDER

`image.onnx`: pixels [1, 3, side, side] → embedding [1, width]. `text.onnx`: ids, mask [texts, n] → embedding [texts, width]. Embeddings
are not yet of length one. Every optimisation is left to the engine that runs them.
"""

import importlib.util
import math
import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SHARED = pathlib.Path(__file__).resolve().parents[1] / "masked" / "export.py"
spec = importlib.util.spec_from_file_location("masked_export", SHARED)
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
Net, weights, OPSET = shared.Net, shared.weights, shared.OPSET


def attention(net, x, tensors, names, heads, hidden, mask=None):
    """Attention from four named matrices; `mask` is added to the scores."""
    width = hidden // heads
    split = net.constant(f"split{hidden}", np.array([0, 0, heads, width], np.int64))
    joined = net.constant(f"joined{hidden}", np.array([0, 0, hidden], np.int64))
    scale = net.constant(f"scale{width}", np.array(1 / math.sqrt(width), np.float32))

    def by_head(name, order):
        y = net.linear(x, tensors, name)
        return net.node("Transpose", [net.node("Reshape", [y, split])], perm=order)

    query, key, value = by_head(names[0], [0, 2, 1, 3]), by_head(names[1], [0, 2, 3, 1]), by_head(names[2], [0, 2, 1, 3])
    scores = net.node("Mul", [net.node("MatMul", [query, key]), scale])
    if mask:
        scores = net.node("Add", [scores, mask])
    probs = net.node("Softmax", [scores], axis=-1)
    context = net.node("Transpose", [net.node("MatMul", [probs, value])], perm=[0, 2, 1, 3])
    return net.linear(net.node("Reshape", [context, joined]), tensors, names[3])


def image(config, tensors):
    net, vision = Net(), config["vision_config"]
    stem, hidden, epsilon = vision["stem"], vision["hidden_size"], vision["layer_norm_eps"]
    at = "vision_model.embeddings."

    def convolution(x, name, stride, padding):
        parts = [net.constant(f"{name}.{part}", tensors[f"{name}.{part}"]) for part in ("weight", "bias")]
        return net.node("Conv", [x, *parts], strides=[stride] * 2, pads=[padding] * 4)

    x = "pixels"
    for i, stride in enumerate(stem["strides"]):
        x = net.node("Gelu", [convolution(x, f"{at}patch_embeddings.stem.{i}", stride, stem["padding"])])
    x = convolution(x, f"{at}patch_embeddings.projection", 1, 0)
    flat = net.constant("flat", np.array([0, hidden, -1], np.int64))
    x = net.node("Transpose", [net.node("Reshape", [x, flat])], perm=[0, 2, 1])
    cls = net.constant("cls", tensors[f"{at}cls_token"].reshape(1, 1, hidden))
    x = net.node("Concat", [cls, x], axis=1)
    x = net.node("Add", [x, net.constant("positions", tensors[f"{at}position_embeddings"].reshape(1, -1, hidden))])
    for layer in range(vision["num_hidden_layers"]):
        name = f"vision_model.encoder.layer.{layer}"
        names = [f"{name}.attention.attention.{part}" for part in ("query", "key", "value")] + [f"{name}.attention.output.dense"]
        y = net.norm(x, tensors, f"{name}.layernorm_before", epsilon)
        x = net.node("Add", [x, attention(net, y, tensors, names, vision["num_attention_heads"], hidden)])
        y = net.norm(x, tensors, f"{name}.layernorm_after", epsilon)
        y = net.node("Gelu", [net.linear(y, tensors, f"{name}.intermediate.dense")])
        x = net.node("Add", [x, net.linear(y, tensors, f"{name}.output.dense")])
    x = net.norm(x, tensors, "vision_model.layernorm", epsilon)
    one, all_, axis = (net.constant(f"c{n}", np.array([n], np.int64)) for n in (1, 1 << 30, 1))
    patches = net.node("Slice", [x, one, all_, axis])
    mean = net.node("ReduceMean", [patches, axis], keepdims=0)
    projection = net.constant("projection", np.ascontiguousarray(tensors["visual_projection.weight"].T))
    net.nodes.append(helper.make_node("MatMul", [mean, projection], ["embedding"]))
    side = vision["image_size"]
    return net, [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [1, 3, side, side])]


def text(config, tensors):
    net, reads = Net(), config["text_config"]
    hidden, epsilon, at = reads["hidden_size"], reads["layer_norm_eps"], "text_model.embeddings."

    def table(name):
        return net.constant(name, tensors[f"{at}{name}.weight"])

    zero, one, two = (net.constant(f"c{n}", np.array([n], np.int64)) for n in (0, 1, 2))
    length = net.node("Shape", ["ids"], start=1, end=2)
    positions = net.node("Slice", [table("position_embeddings"), zero, length, zero])
    x = net.node("Add", [net.node("Gather", [table("word_embeddings"), "ids"]), positions])
    x = net.node("Add", [x, net.constant("kind", tensors[f"{at}token_type_embeddings.weight"][0])])
    x = net.norm(x, tensors, f"{at}LayerNorm", epsilon)
    unseen = net.node("Mul", [net.node("Sub", ["mask", net.constant("f1", np.array(1, np.float32))]), net.constant("big", np.array(1e9, np.float32))])
    mask = net.node("Unsqueeze", [unseen, net.constant("heads_axes", np.array([1, 2], np.int64))])
    for layer in range(reads["num_hidden_layers"]):
        name = f"text_model.encoder.layer.{layer}"
        names = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")] + [f"{name}.attention.output.dense"]
        y = attention(net, x, tensors, names, reads["num_attention_heads"], hidden, mask)
        x = net.norm(net.node("Add", [x, y]), tensors, f"{name}.attention.output.LayerNorm", epsilon)
        y = net.node("Gelu", [net.linear(x, tensors, f"{name}.intermediate.dense")])
        x = net.norm(net.node("Add", [x, net.linear(y, tensors, f"{name}.output.dense")]), tensors, f"{name}.output.LayerNorm", epsilon)
    kept = net.node("Mul", [x, net.node("Unsqueeze", ["mask", two])])
    sums = net.node("ReduceSum", [kept, one], keepdims=0)
    net.nodes.append(helper.make_node("Div", [sums, net.node("ReduceSum", ["mask", one], keepdims=1)], ["embedding"]))
    return net, [
        helper.make_tensor_value_info("ids", TensorProto.INT64, ["t", "n"]),
        helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["t", "n"]),
    ]


def main():
    path, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    config, tensors = weights(path)
    stem = config["vision_config"]["stem"]
    channels = [3, *stem["channels"]]
    at = "vision_model.embeddings.patch_embeddings."
    for i, (before, after) in enumerate(zip(channels, channels[1:])):
        name = f"{at}stem.{i}.weight"
        tensors[name] = tensors[name].reshape(after, before, stem["kernel"], stem["kernel"])
    tensors[f"{at}projection.weight"] = tensors[f"{at}projection.weight"].reshape(-1, channels[-1], 1, 1)
    for name, build in (("image", image), ("text", text)):
        net, inputs = build(config, tensors)
        outputs = [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["b", config["projection_dim"]])]
        constants = [numpy_helper.from_array(array, key) for key, array in net.constants.items()]
        graph = helper.make_graph(net.nodes, name, inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=OPSET, ir_version=10)
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"{name}.onnx")


if __name__ == "__main__":
    main()
