"""The reference for SmolLM2: PyTorch transformers on the dequantised weights of a GGUF file, checked tensor by tensor.

A library for `smollm2.py`, `perplexity.py` and `tiny.py`; writes nothing itself.
"""

import hashlib
import os
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")

import numpy as np  # noqa: E402
import torch  # noqa: E402
from gguf import GGUFReader, dequantize  # noqa: E402
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

PACKAGES = ["torch", "transformers", "gguf", "tokenizers", "numpy"]
CONTROL, USER_DEFINED = 3, 4  # tokenizer.ggml.token_type

HF_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def hf_name(gguf_name):
    """`blk.3.attn_q.weight` → `model.layers.3.self_attn.q_proj.weight`."""
    top = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight"}
    if gguf_name in top:
        return top[gguf_name]
    if gguf_name == "output.weight":
        return "lm_head.weight"
    _, layer, part, suffix = gguf_name.split(".")
    return f"model.layers.{layer}.{HF_NAMES[part]}.{suffix}"


def permute(weight, heads):
    """llama.cpp's converter: rows of a head go from [first half, second half] to interleaved pairs (i, i + dim/2)."""
    return weight.reshape(heads, 2, weight.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(weight.shape)


def unpermute(weight, heads):
    """The inverse of `permute`: rows as the half-split rotary embedding of transformers expects them."""
    return weight.reshape(heads, weight.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)


def dequantised(gguf_path, heads, kv_heads):
    """Every tensor of the file as f32 under its Hugging Face name, with Q and K rows un-permuted."""
    tensors = {}
    for t in GGUFReader(gguf_path).tensors:
        weight = np.array(dequantize(t.data, t.tensor_type), dtype=np.float32)
        if ".attn_q." in t.name:
            weight = unpermute(weight, heads)
        elif ".attn_k." in t.name:
            weight = unpermute(weight, kv_heads)
        tensors[hf_name(t.name)] = weight
    return tensors


def load_model(gguf_path):
    """The file as an f32 `LlamaForCausalLM` with eager attention.

    transformers fills a weight it does not find with random numbers, so every parameter is compared with the file.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    path = Path(gguf_path).resolve()
    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, torch_dtype=torch.float32, attn_implementation="eager"
    ).eval()
    config = model.config
    expected = dequantised(path, config.num_attention_heads, config.num_key_value_heads)
    parameters = dict(model.named_parameters())
    assert set(parameters) == set(expected), set(parameters) ^ set(expected)
    for name, parameter in parameters.items():
        assert parameter.dtype == torch.float32, name
        assert np.array_equal(parameter.detach().numpy(), expected[name]), f"{name} differs from the file"
    return model


def field(reader, name):
    """Contents of a metadata field of a GGUF file."""
    return reader.fields[name].contents()


def load_tokenizer(gguf_path):
    """The byte-level BPE of the file: digits one by one, then the GPT-2 pattern; control tokens are matched whole."""
    reader = GGUFReader(gguf_path)
    assert field(reader, "tokenizer.ggml.model") == "gpt2" and field(reader, "tokenizer.ggml.pre") == "smollm"
    tokens = field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(m.split(" ")) for m in field(reader, "tokenizer.ggml.merges")]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    types = field(reader, "tokenizer.ggml.token_type")
    special = [t for t, kind in zip(tokens, types) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in special])
    assert tokenizer.get_vocab_size() == len(tokens)
    return tokenizer


def sha256(path):
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def capture(model, ids):
    """One forward pass from an empty cache.

    Returns logits `[seq, vocab]`, residuals (after the embedding and after each layer, before the final norm),
    the final norm's output, all `[seq, hidden]`, and attention probabilities per layer `[heads, query, key]`.
    Hooks are used because transformers reports the last layer's hidden state only after the final norm.
    """
    seen = {}
    hooks = [
        module.register_forward_hook(
            lambda _m, _i, out, name=name: seen.__setitem__(name, (out[0] if isinstance(out, tuple) else out)[0])
        )
        for name, module in [("embed", model.model.embed_tokens), ("norm", model.model.norm)]
        + list(enumerate(model.model.layers))
    ]
    with torch.no_grad():
        out = model(torch.tensor([ids]), output_attentions=True, use_cache=False)
    for hook in hooks:
        hook.remove()
    layers = range(len(model.model.layers))
    return {
        "logits": out.logits[0],
        "embed": seen["embed"],
        "layers": [seen[i].reshape(len(ids), -1) for i in layers],
        "norm": seen["norm"],
        "attention": [a[0] for a in out.attentions],
    }


def top10(logits, digits=7):
    """Ten best `(id, logit)` of one position, best first; equal logits by ascending id."""
    values = logits.numpy()
    order = np.lexsort((np.arange(len(values)), -values))[:10]
    return [(int(i), float(f"{values[i]:.{digits}g}")) for i in order]


def logsumexp(logits):
    """log Σ exp over the vocabulary, summed in f64."""
    return torch.logsumexp(logits.double(), dim=-1)
