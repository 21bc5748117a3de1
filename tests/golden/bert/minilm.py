"""The default model of the fill-mask tab, from PyTorch in f32 on the weights of its file.

    python tests/golden/bert/minilm.py models/minilm-l6-mlm/minilm-l6-mlm.Q8_0.gguf

Reads the GGUF with gguf-py, dequantises it, loads it into transformers' BertForMaskedLM by the config.json in its metadata,
and writes `minilm.json` beside this script. To be run again whenever the file is published anew.

    sha256 of the file
    cases: [{text, pair (or null), ids, types, hidden: {positions, layers [layer][positions][hidden]},
             logits: [{logsumexp, top: [[id, logit], ten of them]}] for every position, attention [layer][head][seq][seq]}]
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from tokenizers import Tokenizer
from transformers import BertConfig, BertForMaskedLM

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import header, significant, write_json  # noqa: E402

TEXTS = [
    ("The [MASK] chased the mouse.", None),
    ("The animal didn't cross the street because it was too tired.", None),
    ("The doctor said [MASK] would come back.", "Then [MASK] left the house."),
]


def load(path):
    """The model and its tokenizer."""
    reader = GGUFReader(path)
    text = {name: str(bytes(field.parts[-1]), "utf-8") for name, field in reader.fields.items() if "json" in name}
    config = BertConfig(**json.loads(text["glassformer.config.json"]), attn_implementation="eager")
    model = BertForMaskedLM(config).eval()
    weights = {}
    for tensor in reader.tensors:
        numbers = dequantize(tensor.data, tensor.tensor_type).reshape(tuple(reversed(tensor.shape.tolist())))
        weights[tensor.name] = torch.from_numpy(np.array(numbers, dtype=np.float32))
    wrong = model.load_state_dict(weights, strict=False)
    assert not wrong.unexpected_keys, wrong
    assert set(wrong.missing_keys) <= {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}, wrong
    model.tie_weights()
    tokenizer = Tokenizer.from_str(text["tokenizer.huggingface.json"])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return model, tokenizer


@torch.no_grad()
def case(model, tokenizer, text, pair):
    """All that is compared of one text."""
    encoded = tokenizer.encode(text, pair)
    ids, types = torch.tensor([encoded.ids]), torch.tensor([encoded.type_ids])
    out = model(ids, token_type_ids=types, output_hidden_states=True, output_attentions=True)
    positions = sorted({0, 2, len(encoded.ids) // 2, len(encoded.ids) - 1})
    logits = []
    for row in out.logits[0]:
        values, best = row.topk(10)
        top = [[int(i), significant(v)] for i, v in zip(best, values)]
        logits.append({"logsumexp": significant(row.double().logsumexp(0), 9), "top": top})
    layers = [significant(layer[0, positions]) for layer in out.hidden_states]
    attention = [significant(layer[0], 5) for layer in out.attentions]
    return {"text": text, "pair": pair, "ids": encoded.ids, "types": encoded.type_ids,
            "hidden": {"positions": positions, "layers": layers}, "logits": logits, "attention": attention}  # fmt: skip


def main():
    torch.set_num_threads(1)
    path = Path(sys.argv[1])
    model, tokenizer = load(path)
    facts = header("tests/golden/bert/minilm.py", ["torch", "transformers", "numpy", "gguf", "tokenizers"])
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    cases = [case(model, tokenizer, *texts) for texts in TEXTS]
    write_json(HERE / "minilm.json", {"header": facts, "sha256": digest, "cases": cases})


if __name__ == "__main__":
    main()
