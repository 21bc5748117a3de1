"""Small seeded random models of BERT and its relatives with all their numbers, from PyTorch in f32.

Writes, beside this script, with no network and no other model, a folder for each of `MODELS`: `config.json`, weights
(`model.safetensors`, or shards with their index) and `golden.json`.

    python tests/golden/bert/tiny.py

Weights are drawn in NumPy so that attention is far from uniform, rounded to the stored type, and the reference is then
computed in f32 on the rounded values. Each case is a batch: sequences of different lengths, padded to the longest, the
longer ones in two sentences where the model knows token types. Values are of real positions alone.

    cases: [{ids [batch][q_len], types [batch][q_len], lengths [batch],
             hidden [layer][batch][length][hidden] with the layers of `layers` (0 is the embedding),
             logits [batch][length][vocab] (null without a head), attention [layer][batch][head][length][length]}]
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import header, seeded, significant, write_json  # noqa: E402

GENERATOR = "tests/golden/bert/tiny.py"
PACKAGES = ["torch", "transformers", "numpy", "safetensors"]
BATCHES = [[1], [5], [19, 7, 12]]

SMALL = {"hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 3,
         "max_position_embeddings": 40, "pad_token_id": 0}  # fmt: skip
MODELS = {
    "tiny-bert": {
        "seed": 401, "dtype": torch.float32, "class": "BertForMaskedLM",
        "about": "f32, tied decoder, two token types",
        "config": {**SMALL, "vocab_size": 61},
    },
    "tiny-bert-old": {
        "seed": 402, "dtype": torch.float16, "class": "BertForPreTraining",
        "about": "f16; gamma and beta, pooler, next-sentence head, position_ids and a copy of the tied decoder, as from "
                 "TensorFlow; tanh form of GELU; heads of 5 elements",
        "config": {**SMALL, "vocab_size": 53, "hidden_size": 20, "num_attention_heads": 4, "hidden_act": "gelu_new"},
    },
    "tiny-bert-untied": {
        "seed": 403, "dtype": torch.float32, "class": "BertForMaskedLM",
        "about": "f32 in shards, separate decoder, three layers",
        "config": {**SMALL, "vocab_size": 59, "num_hidden_layers": 3, "tie_word_embeddings": False},
    },
    "tiny-bert-bare": {
        "seed": 404, "dtype": torch.bfloat16, "class": "BertModel",
        "about": "bf16, no head and no prefix, with pooler, as sentence encoders are",
        "config": {**SMALL, "vocab_size": 57},
    },
    "tiny-roberta": {
        "seed": 405, "dtype": torch.float32, "class": "RobertaForMaskedLM",
        "about": "f32, positions from 2 on, one token type",
        "config": {**SMALL, "vocab_size": 67, "pad_token_id": 1, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
    },
    "tiny-distilbert": {
        "seed": 406, "dtype": torch.float16, "class": "DistilBertForMaskedLM",
        "about": "f16, no token types",
        "config": {"vocab_size": 63, "dim": 24, "hidden_dim": 44, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 40,
                   "pad_token_id": 0},
    },
    "tiny-albert": {
        "seed": 407, "dtype": torch.float32, "class": "AlbertForMaskedLM",
        "about": "f32, embeddings of 12, three layers in two groups",
        "config": {**SMALL, "vocab_size": 65, "embedding_size": 12, "num_hidden_layers": 3, "num_hidden_groups": 2,
                   "inner_group_num": 1, "hidden_act": "gelu_new"},
    },
    "tiny-albert-inner": {
        "seed": 408, "dtype": torch.float32, "class": "AlbertForMaskedLM",
        "about": "f32, one group of two layers, run twice",
        "config": {**SMALL, "vocab_size": 55, "embedding_size": 24, "num_hidden_layers": 2, "num_hidden_groups": 1,
                   "inner_group_num": 2, "hidden_act": "gelu"},
    },
    "tiny-electra": {
        "seed": 409, "dtype": torch.float32, "class": "ElectraForMaskedLM",
        "about": "f32, a generator with embeddings of 12",
        "config": {**SMALL, "vocab_size": 64, "embedding_size": 12},
    },
}  # fmt: skip


def random_model(spec):
    """A model whose weights are seeded normals: matrices ~0.3, embeddings ~0.5, biases ~0.2, norms around 1."""
    rng = seeded(spec["seed"])
    kind = getattr(transformers, spec["class"])
    model = kind(kind.config_class(**spec["config"], attn_implementation="eager")).eval()
    for name, parameter in sorted(model.named_parameters()):
        values = rng.standard_normal(parameter.shape)
        if "norm" in name.lower():
            values = 0.2 * values + (0 if name.endswith("bias") else 1)
        else:
            values *= 0.2 if name.endswith("bias") else 0.5 if "embeddings." in name else 0.3
        parameter.data = torch.from_numpy(values.astype(np.float32))
    model.tie_weights()
    return model


def save(name, model, folder):
    """The checkpoint, for `tiny-bert-old` under the names of old ones."""
    if name != "tiny-bert-old":
        model.save_pretrained(folder, max_shard_size="20KB" if name == "tiny-bert-untied" else "5GB")
    else:
        weights = {key: value.contiguous().clone() for key, value in model.state_dict().items()}
        norm = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        for key in list(weights):
            for new, old in norm.items():
                if key.endswith(new):
                    weights[key.removesuffix(new) + old] = weights.pop(key)
        del weights["cls.predictions.decoder.bias"]  # not yet there in old files
        weights["bert.embeddings.position_ids"] = torch.arange(model.config.max_position_embeddings)[None]
        folder.mkdir()
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        model.config.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors files are created for the owner only


def batch_of(rng, config, lengths):
    """Ids (never the padding's), types (a second sentence from the middle of longer sequences on) and the mask."""
    longest, pad = max(lengths), config.pad_token_id
    ids = np.full((len(lengths), longest), pad)
    types = np.zeros_like(ids)
    mask = np.zeros_like(ids)
    for row, length in enumerate(lengths):
        drawn = rng.integers(0, config.vocab_size - 1, length)
        ids[row, :length] = drawn + (drawn >= pad)
        if getattr(config, "type_vocab_size", 0) > 1 and length > 4:
            types[row, length // 2 : length] = 1
        mask[row, :length] = 1
    return ids, types, mask


@torch.no_grad()
def golden(model, rng):
    """Everything the model computes for each batch."""
    config, cases = model.config, []
    inner = getattr(config, "inner_group_num", 1)
    for lengths in BATCHES:
        ids, types, mask = batch_of(rng, config, lengths)
        given = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        if getattr(config, "type_vocab_size", 0) > 0:
            given["token_type_ids"] = torch.from_numpy(types)
        out = model(**given, output_hidden_states=True, output_attentions=True)
        logits = getattr(out, "prediction_logits", getattr(out, "logits", None))
        # ALBERT gives the attention of a group as a tuple.
        attentions = [a for layer in out.attentions for a in (layer if isinstance(layer, tuple) else (layer,))]
        assert len(attentions) == config.num_hidden_layers * inner
        rows = range(len(lengths))
        cut = [[layer[row, : lengths[row]] for row in rows] for layer in out.hidden_states]
        cases.append(
            {
                "ids": ids.tolist(), "types": types.tolist(), "lengths": lengths,
                "layers": [i * inner for i in range(len(cut))],
                "hidden": [[significant(h) for h in layer] for layer in cut],
                "logits": None if logits is None else [significant(logits[row, : lengths[row]]) for row in rows],
                "attention": [
                    [significant(layer[row, :, : lengths[row], : lengths[row]]) for row in rows] for layer in attentions
                ],
            }
        )  # fmt: skip
        for layer in attentions:
            assert all(float(layer[row, :, :, lengths[row] :].sum()) == 0 for row in rows)
    sharpest = float(torch.cat([a.max(-1).values.flatten() for a in attentions]).mean())
    largest = "" if logits is None else f"largest |logit| {logits.abs().max():.2f}, "
    print(f"  {largest}mean of the largest attention weight {sharpest:.2f}")
    return cases


def write_model(name, spec):
    """A folder and its golden values."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    print(name)
    model = random_model(spec).to(spec["dtype"])
    save(name, model, folder)
    # Not read back with from_pretrained: transformers 4.49 clears RoBERTa's tied bias while it does.
    reference = model.float()
    stored = {}
    for file in sorted(folder.glob("*.safetensors")):
        stored.update(load_file(file))
    if name != "tiny-bert-old":
        for key, parameter in reference.named_parameters():
            held = stored[key]
            assert held.dtype == spec["dtype"] and torch.equal(held.float(), parameter), key
    rng = seeded(spec["seed"] + 1000)
    facts = header(GENERATOR, PACKAGES, spec["seed"], about=spec["about"])
    write_json(folder / "golden.json", {"header": facts, "cases": golden(reference, rng)})


def main():
    torch.set_num_threads(1)
    for name, spec in MODELS.items():
        write_model(name, spec)


if __name__ == "__main__":
    main()
