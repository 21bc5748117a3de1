"""Writes a masked language model of BERT's family as ONNX for `cargo xtask bench fill-mask|attention`,
with the weights of our own file in f32.

    python export.py MODEL.gguf FOLDER

`fill-mask.onnx` gives the logits of the positions that `rows` names; `attention.onnx` gives besides
them the attention of every layer. Both leave every optimisation to the engine that runs them.

Axes: hidden [1, position, hidden], attention [1, head, query, key], logits [rows, vocabulary].
"""

import json
import math
import pathlib
import sys

import gguf
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = [helper.make_opsetid("", 21)]


def weights(path):
    """Config and tensors, as the checkpoint names them."""
    reader = gguf.GGUFReader(path)
    field = reader.fields["glassformer.config.json"]
    config = json.loads(bytes(field.parts[field.data[0]]))
    tensors = {}
    for tensor in reader.tensors:
        values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        tensors[tensor.name] = np.ascontiguousarray(values, np.float32)
    return config, tensors


class Net:
    """Collects nodes; a method gives the name of what its node computes."""

    def __init__(self):
        self.nodes, self.constants = [], {}

    def constant(self, name, array):
        self.constants.setdefault(name, np.asarray(array))
        return name

    def node(self, kind, inputs, **attributes):
        output = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def linear(self, x, tensors, name):
        weight = self.constant(f"{name}.weight", np.ascontiguousarray(tensors[f"{name}.weight"].T))
        bias = self.constant(f"{name}.bias", tensors[f"{name}.bias"])
        return self.node("Add", [self.node("MatMul", [x, weight]), bias])

    def norm(self, x, tensors, name, epsilon):
        parts = [self.constant(f"{name}.{part}", tensors[f"{name}.{part}"]) for part in ("weight", "bias")]
        return self.node("LayerNormalization", [x, *parts], epsilon=epsilon)


def build(config, tensors, with_attention):
    net = Net()
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    epsilon = config["layer_norm_eps"]
    width = hidden // heads

    def table(name):
        return net.constant(name, tensors[f"bert.embeddings.{name}.weight"])

    length = net.node("Shape", ["ids"], start=1, end=2)
    zero = net.constant("zero", np.array([0], np.int64))
    positions = net.node("Slice", [table("position_embeddings"), zero, length, zero])
    words = net.node("Gather", [table("word_embeddings"), "ids"])
    kinds = net.constant("kind", tensors["bert.embeddings.token_type_embeddings.weight"][0])
    x = net.node("Add", [net.node("Add", [words, positions]), kinds])
    x = net.norm(x, tensors, "bert.embeddings.LayerNorm", epsilon)
    split = net.constant("split", np.array([0, 0, heads, width], np.int64))
    joined = net.constant("joined", np.array([0, 0, hidden], np.int64))
    scale = net.constant("scale", np.array(1 / math.sqrt(width), np.float32))
    outputs = []
    for layer in range(config["num_hidden_layers"]):
        name = f"bert.encoder.layer.{layer}"

        def by_head(part, order):
            y = net.linear(x, tensors, f"{name}.attention.self.{part}")
            return net.node("Transpose", [net.node("Reshape", [y, split])], perm=order)

        query, key, value = by_head("query", [0, 2, 1, 3]), by_head("key", [0, 2, 3, 1]), by_head("value", [0, 2, 1, 3])
        scores = net.node("Mul", [net.node("MatMul", [query, key]), scale])
        probs = net.node("Softmax", [scores], axis=-1)
        if with_attention:
            probs_name = f"attention{layer}"
            net.nodes.append(helper.make_node("Identity", [probs], [probs_name]))
            outputs.append(helper.make_tensor_value_info(probs_name, TensorProto.FLOAT, [1, heads, "n", "n"]))
        context = net.node("Transpose", [net.node("MatMul", [probs, value])], perm=[0, 2, 1, 3])
        y = net.linear(net.node("Reshape", [context, joined]), tensors, f"{name}.attention.output.dense")
        x = net.norm(net.node("Add", [x, y]), tensors, f"{name}.attention.output.LayerNorm", epsilon)
        y = net.node("Gelu", [net.linear(x, tensors, f"{name}.intermediate.dense")])
        y = net.linear(y, tensors, f"{name}.output.dense")
        x = net.norm(net.node("Add", [x, y]), tensors, f"{name}.output.LayerNorm", epsilon)
    # [1, position, hidden] → the rows that are asked for.
    x = net.node("Gather", [net.node("Squeeze", [x, zero]), "rows"])
    x = net.node("Gelu", [net.linear(x, tensors, "cls.predictions.transform.dense")])
    x = net.norm(x, tensors, "cls.predictions.transform.LayerNorm", epsilon)
    decoder = net.constant("decoder", np.ascontiguousarray(tensors["bert.embeddings.word_embeddings.weight"].T))
    bias = net.constant("decoder.bias", tensors["cls.predictions.bias"])
    net.nodes.append(helper.make_node("Add", [net.node("MatMul", [x, decoder]), bias], ["logits"]))
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["m", config["vocab_size"]])
    return net, [logits, *outputs]


def main():
    path, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    config, tensors = weights(path)
    for name in ("fill-mask", "attention"):
        net, outputs = build(config, tensors, name == "attention")
        inputs = [
            helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "n"]),
            helper.make_tensor_value_info("rows", TensorProto.INT64, ["m"]),
        ]
        constants = [numpy_helper.from_array(array, key) for key, array in net.constants.items()]
        graph = helper.make_graph(net.nodes, name, inputs, outputs, constants)
        model = helper.make_model(graph, opset_imports=OPSET, ir_version=10)
        onnx.checker.check_model(model)
        onnx.save(model, folder / f"{name}.onnx")


if __name__ == "__main__":
    main()
