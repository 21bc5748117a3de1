"""BERT with its masked-word head, with the parameter names of Hugging Face's `BertForMaskedLM`.

Axes: `[batch, seq, hidden]`. The head (dense, GELU, layer norm, decoder tied to the word embeddings) runs only at the
positions asked for: over 30,522 words it costs as much per position as the six layers below it.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import nn


def modules(**parts) -> nn.Module:
    """A nameless level of the parameter tree."""
    level = nn.Module()
    for name, part in parts.items():
        level.add_module(name, part)
    return level


class Attention(nn.Module):
    """Bidirectional self-attention with its output projection, residual and layer norm."""

    def __init__(self, config):
        super().__init__()
        width = config["hidden_size"]
        self.heads = config["num_attention_heads"]
        self.add_module("self", modules(query=nn.Linear(width, width), key=nn.Linear(width, width), value=nn.Linear(width, width)))
        self.output = modules(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, config["layer_norm_eps"]))

    def forward(self, x, mask):
        batch, seq, width = x.shape
        own = getattr(self, "self")
        three = (own.query, own.key, own.value)
        # One product for all three: [batch, seq, 3, heads, width / heads] -> three of [batch, heads, seq, width / heads].
        joined = F.linear(x, torch.cat([p.weight for p in three]), torch.cat([p.bias for p in three]))
        q, k, v = joined.view(batch, seq, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        # Written out: for short sequences in bf16 torch's fused attention needs six times as long on a processor.
        scores = (q * (width // self.heads) ** -0.5) @ k.transpose(-1, -2)  # [batch, heads, query, key]
        if mask is not None:
            scores = scores.masked_fill(mask, float("-inf"))
        mixed = scores.softmax(-1, dtype=x.dtype) @ v
        mixed = self.output.dense(mixed.transpose(1, 2).reshape(batch, seq, width))
        return self.output.LayerNorm(x + mixed)


class Layer(nn.Module):
    """Attention, then the two-layer network with GELU, each with residual and layer norm."""

    def __init__(self, config):
        super().__init__()
        width, inner = config["hidden_size"], config["intermediate_size"]
        self.attention = Attention(config)
        self.intermediate = modules(dense=nn.Linear(width, inner))
        self.output = modules(dense=nn.Linear(inner, width), LayerNorm=nn.LayerNorm(width, config["layer_norm_eps"]))

    def forward(self, x, mask):
        x = self.attention(x, mask)
        return self.output.LayerNorm(x + self.output.dense(F.gelu(self.intermediate.dense(x))))


class MaskedLM(nn.Module):
    """The whole model; `forward` gives the logits of the masked positions."""

    def __init__(self, config: dict):
        super().__init__()
        width, eps = config["hidden_size"], config["layer_norm_eps"]
        self.bert = modules(
            embeddings=modules(
                word_embeddings=nn.Embedding(config["vocab_size"], width),
                position_embeddings=nn.Embedding(config["max_position_embeddings"], width),
                token_type_embeddings=nn.Embedding(config["type_vocab_size"], width),
                LayerNorm=nn.LayerNorm(width, eps)),
            encoder=modules(layer=nn.ModuleList(Layer(config) for _ in range(config["num_hidden_layers"]))))
        head = modules(transform=modules(dense=nn.Linear(width, width), LayerNorm=nn.LayerNorm(width, eps)))
        head.register_parameter("bias", nn.Parameter(torch.zeros(config["vocab_size"])))
        self.cls = modules(predictions=head)

    def forward(self, ids, lengths, where):
        """`ids` [batch, seq] padded at the right, `lengths` [batch], `where` (rows, columns) of n positions -> logits [n, vocab]."""
        seq = ids.shape[1]
        mask = None
        if int(lengths.min()) < seq:
            mask = (torch.arange(seq)[None, :] >= lengths[:, None])[:, None, None, :]  # keys that are padding
        embed = self.bert.embeddings
        x = embed.word_embeddings(ids) + embed.position_embeddings.weight[:seq] + embed.token_type_embeddings.weight[0]
        x = embed.LayerNorm(x)
        for layer in self.bert.encoder.layer:
            x = layer(x, mask)
        head = self.cls.predictions
        x = head.transform.LayerNorm(F.gelu(head.transform.dense(x[where])))
        return F.linear(x, embed.word_embeddings.weight, head.bias)


def load(folder: Path):
    """The model of a folder with config.json and model.safetensors, in f32, and its config."""
    config = json.loads((folder / "config.json").read_text())
    model = MaskedLM(config)
    model.load_state_dict({name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()
                           if name in model.state_dict()})
    return model, config
