"""Small seeded random Llama models with all their numbers, as checkpoints and as GGUF files, from PyTorch in f32.

Writes, beside this script, with no network and no other model:

- `tiny-gqa/`, `tiny-bias/`, `tiny-bf16/`, `tiny-sharded/`: `config.json`, `model.safetensors` (the last one: two shards
  and `model.safetensors.index.json`) and `golden.json`;
- `tiny-blocks/`: one model as `f32.gguf`, `f16.gguf`, `q8_0.gguf`, `q4_0.gguf`, `q4_1.gguf`, each with its own
  `<name>.json` computed from that file's dequantised weights, and `tokenizer.json` (texts and their ids).

    python tests/golden/llama/tiny.py

Weights are drawn in NumPy so that attention is far from uniform, rounded to the stored type, and the reference is then
computed in f32 on the rounded values. In the GGUF files norms are F32 and rows of Q and K are permuted, as llama.cpp's
converter does; in `q4_1.gguf` the embedding is Q8_0, as in SmolLM2's file. Their tokenizer is a byte-level BPE of 320
tokens whose merges are learnt from `prose.txt` (source and licence: see `perplexity.py`).
"""

import shutil
from collections import Counter

import gguf
import numpy as np
import torch
from gguf.quants import quantize
from reference import HERE, PACKAGES, capture, hf_name, load_model, load_tokenizer, permute
from safetensors.torch import load_file
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

from common import header, seeded, significant, write_json

GENERATOR = "tests/golden/llama/tiny.py"
LENGTHS = [1, 5, 37]
COMMON = {"max_position_embeddings": 128, "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2}

CHECKPOINTS = {
    "tiny-gqa": {
        "seed": 101,
        "dtype": torch.float32,
        "about": "f32, tied embeddings, 4 query heads on 2 key/value heads",
        "config": {
            "vocab_size": 97, "hidden_size": 32, "intermediate_size": 56, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": True,
        },
    },
    "tiny-bias": {
        "seed": 102,
        "dtype": torch.float16,
        "about": "f16, separate lm_head, head_dim 16 where hidden / heads is not whole, biases everywhere",
        "config": {
            "vocab_size": 101, "hidden_size": 40, "intermediate_size": 72, "num_hidden_layers": 2,
            "num_attention_heads": 3, "num_key_value_heads": 3, "head_dim": 16, "tie_word_embeddings": False,
            "attention_bias": True, "mlp_bias": True,
        },
    },
    "tiny-bf16": {
        "seed": 103,
        "dtype": torch.bfloat16,
        "about": "bf16, one key/value head, vocabulary 131, intermediate size 75, rope_theta 500000",
        "config": {
            "vocab_size": 131, "hidden_size": 48, "intermediate_size": 75, "num_hidden_layers": 2,
            "num_attention_heads": 3, "num_key_value_heads": 1, "rope_theta": 500000.0, "tie_word_embeddings": False,
        },
    },
    "tiny-sharded": {
        "seed": 104,
        "dtype": torch.float32,
        "about": "f32 in two shards, separate lm_head, three layers, two query heads on one key/value head",
        "config": {
            "vocab_size": 99, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3,
            "num_attention_heads": 2, "num_key_value_heads": 1, "tie_word_embeddings": False,
        },
    },
}

BLOCKS_SEED = 105
BLOCKS = {
    "vocab_size": 320, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "rope_theta": 10000.0, "tie_word_embeddings": True,
}  # fmt: skip
ENCODINGS = {  # file name: (matrices, embedding)
    "f32": (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F32),
    "f16": (gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F16),
    "q8_0": (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q8_0),
    "q4_0": (gguf.GGMLQuantizationType.Q4_0, gguf.GGMLQuantizationType.Q4_0),
    "q4_1": (gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.Q8_0),
}
FILE_TYPES = {
    "f32": gguf.LlamaFileType.ALL_F32,
    "f16": gguf.LlamaFileType.MOSTLY_F16,
    "q8_0": gguf.LlamaFileType.MOSTLY_Q8_0,
    "q4_0": gguf.LlamaFileType.MOSTLY_Q4_0,
    "q4_1": gguf.LlamaFileType.MOSTLY_Q4_1,
}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
TEXTS = [
    "The sea and the land met there.",
    "<|im_start|>user\nHi!<|im_end|>\n",
    "a  b\t\n\n c 1234 it's naïve 🎉 水",
]


def random_model(seed, config):
    """A Llama whose weights are seeded normals: matrices ~0.3, embeddings ~0.5, biases ~0.2, norms around 1."""
    rng = seeded(seed)
    model = LlamaForCausalLM(LlamaConfig(**COMMON, **config, attn_implementation="eager")).eval()
    for name, parameter in sorted(model.named_parameters()):
        if "norm" in name:
            values = 1 + 0.2 * rng.standard_normal(parameter.shape)
        else:
            std = 0.2 if name.endswith("bias") else 0.5 if "embed" in name else 0.3
            values = std * rng.standard_normal(parameter.shape)
        parameter.data = torch.from_numpy(values.astype(np.float32))
    model.tie_weights()
    return model


def golden(model, ids_list, positions=None):
    """Everything the model computes for each list of ids; `positions` limits logits and hidden states, not attention."""
    cases = []
    for ids in ids_list:
        out = capture(model, ids)
        where = list(range(len(ids))) if positions is None else list(range(len(ids)))[-positions:]
        cases.append(
            {
                "ids": ids,
                "positions": where,
                "logits": significant(out["logits"][where]),
                "hidden": {
                    "embed": significant(out["embed"][where]),
                    "layers": [significant(layer[where]) for layer in out["layers"]],
                    "norm": significant(out["norm"][where]),
                },
                "attention": [significant(layer) for layer in out["attention"]],
            }
        )
    sharpest = float(torch.stack(out["attention"])[..., 8:, :].max(-1).values.mean())
    print(f"  largest |logit| {out['logits'].abs().max():.2f}, mean of the largest attention weight {sharpest:.2f}")
    return cases


def write_checkpoint(name, spec):
    """A Hugging Face folder and its golden values."""
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    dtype = spec["dtype"]
    model = random_model(spec["seed"], spec["config"]).to(dtype)
    shard = "60KB" if name == "tiny-sharded" else "5GB"
    model.save_pretrained(folder, max_shard_size=shard)
    (folder / "generation_config.json").unlink()
    for file in folder.iterdir():
        file.chmod(0o644)  # safetensors files are created for the owner only
    reference = AutoModelForCausalLM.from_pretrained(folder, torch_dtype=torch.float32, attn_implementation="eager").eval()
    stored = {}
    for file in sorted(folder.glob("*.safetensors")):
        stored.update(load_file(file))
    if name == "tiny-sharded":
        assert len(list(folder.glob("*.safetensors"))) == 2
    for key, parameter in reference.named_parameters():
        assert stored[key].dtype == dtype and torch.equal(stored[key].float(), parameter), key
    rng = seeded(spec["seed"] + 1000)
    ids = [[int(i) for i in rng.integers(0, spec["config"]["vocab_size"], n)] for n in LENGTHS]
    print(name)
    write_json(
        folder / "golden.json",
        {
            "header": header(GENERATOR, PACKAGES + ["safetensors"], spec["seed"], about=spec["about"]),
            "cases": golden(reference, ids),
        },
    )


def learn_merges(text, count):
    """The first `count` merges of byte-level BPE on `text`, split as the tokenizer splits; ties by the pair itself."""
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    words = Counter(tuple(piece) for piece, _ in split.pre_tokenize_str(text))
    merges = []
    while len(merges) < count:
        pairs = Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += n
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        joined = Counter()
        for word, n in words.items():
            out = []
            for symbol in word:
                if out and (out[-1], symbol) == best:
                    out[-1] += symbol
                else:
                    out.append(symbol)
            joined[tuple(out)] += n
        words = joined
    return merges


def write_gguf(path, name, model, merges):
    """`model` as llama.cpp's converter would write it, quantised to the encoding `name`."""
    config = model.config
    head_dim = config.hidden_size // config.num_attention_heads
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = SPECIAL + alphabet + [a + b for a, b in merges]
    assert len(tokens) == len(set(tokens)) == config.vocab_size, len(tokens)

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_type("model")
    writer.add_name("Glassformer tiny blocks")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    writer.add_rope_dimension_count(head_dim)
    writer.add_file_type(FILE_TYPES[name])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(tokens) - len(SPECIAL)))
    writer.add_token_merges([f"{a} {b}" for a, b in merges])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)

    parts = ["attn_norm", "attn_q", "attn_k", "attn_v", "attn_output", "ffn_norm", "ffn_gate", "ffn_up", "ffn_down"]
    names = ["token_embd.weight"]
    names += [f"blk.{i}.{part}.weight" for i in range(config.num_hidden_layers) for part in parts]
    names += ["output_norm.weight"]
    parameters = dict(model.named_parameters())
    assert sorted(hf_name(n) for n in names) == sorted(parameters)
    matrices, embedding = ENCODINGS[name]
    for tensor in names:
        weight = parameters[hf_name(tensor)].detach().numpy()
        if ".attn_q." in tensor:
            weight = permute(weight, config.num_attention_heads)
        elif ".attn_k." in tensor:
            weight = permute(weight, config.num_key_value_heads)
        kind = gguf.GGMLQuantizationType.F32 if "norm" in tensor else embedding if "embd" in tensor else matrices
        writer.add_tensor(tensor, quantize(np.ascontiguousarray(weight), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_blocks():
    """The GGUF variants of one model and the golden values of each."""
    folder = HERE / "tiny-blocks"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    original = random_model(BLOCKS_SEED, BLOCKS)
    prose = (HERE / "prose.txt").read_text(encoding="utf-8")
    merges = learn_merges(prose, BLOCKS["vocab_size"] - 256 - len(SPECIAL))
    for name, (matrices, embedding) in ENCODINGS.items():
        path = folder / f"{name}.gguf"
        print(path.name)
        write_gguf(path, name, original, merges)
        tokenizer = load_tokenizer(path)
        long_ids = tokenizer.encode(prose).ids[: LENGTHS[-1]]
        ids = [[SPECIAL.index("<|im_start|>")], tokenizer.encode("The sea").ids[:5], long_ids]
        ids[1] = (ids[1] + long_ids)[: LENGTHS[1]]
        facts = {"file": path.name, "matrices": matrices.name, "embedding": embedding.name}
        write_json(
            folder / f"{name}.json",
            {
                "header": header(GENERATOR, PACKAGES, BLOCKS_SEED, **facts),
                "cases": golden(load_model(path), ids, positions=LENGTHS[1]),
            },
        )
    texts = [{"text": t, "ids": tokenizer.encode(t).ids} for t in TEXTS + [prose[:300]]]
    write_json(folder / "tokenizer.json", {"header": header(GENERATOR, PACKAGES, BLOCKS_SEED), "texts": texts})


def main():
    torch.set_num_threads(1)
    for name, spec in CHECKPOINTS.items():
        write_checkpoint(name, spec)
    write_blocks()


if __name__ == "__main__":
    main()
