"""Small seeded random MarianMT models with their numbers and their beam searches, from PyTorch transformers in f32.

    python tests/golden/marian/tiny.py

Writes, beside this script, `tiny-relu/` and `tiny-swish/`: `config.json`, `model.safetensors`, `golden.json`: the
encoder's states, the logits, cross- and self-attention of a given target, and for each number of beams and length
penalty the hypotheses of `generate` with their scores.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import GenerationConfig, MarianConfig, MarianMTModel

HERE = pathlib.Path(__file__).parent
COMMON = {
    "vocab_size": 61, "decoder_vocab_size": 61, "pad_token_id": 60, "eos_token_id": 0, "decoder_start_token_id": 60,
    "max_position_embeddings": 64, "static_position_embeddings": True, "scale_embedding": True,
    "share_encoder_decoder_embeddings": True, "tie_word_embeddings": True, "bad_words_ids": [[60]],
    "forced_eos_token_id": None, "dropout": 0.0, "attention_dropout": 0.0, "activation_dropout": 0.0,
}
MODELS = {
    "tiny-relu": (301, {
        "d_model": 24, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 3,
        "decoder_attention_heads": 3, "encoder_ffn_dim": 40, "decoder_ffn_dim": 36, "activation_function": "relu",
    }),
    "tiny-swish": (302, {
        "d_model": 36, "encoder_layers": 1, "decoder_layers": 3, "encoder_attention_heads": 2,
        "decoder_attention_heads": 6, "encoder_ffn_dim": 28, "decoder_ffn_dim": 44, "activation_function": "swish",
    }),
}


def numbers(tensor):
    return [round(x, 6) for x in tensor.flatten().tolist()]


def make(name, seed, sizes):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    config = MarianConfig(**COMMON, **sizes)
    torch.manual_seed(seed)
    model = MarianMTModel(config).eval()
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if "embed_positions" not in key:
                scale = 0.3 if weight.dim() > 1 else 0.1
                weight.copy_(torch.randn(weight.shape) * scale + (1.0 if "norm.weight" in key else 0.0))
        # Some texts end by themselves.
        model.final_logits_bias[0] = torch.randn(61) * 0.5
        model.final_logits_bias[0, 0] += 4.0
    keep = {k: v.contiguous() for k, v in model.state_dict().items() if not k.endswith("embed_tokens.weight")
            and "embed_positions" not in k and k != "lm_head.weight"}
    save_file(keep, folder / "model.safetensors")
    written = config.to_dict()
    written["model_type"] = "marian"
    (folder / "config.json").write_text(json.dumps(written, indent=1) + "\n")

    cases = []
    for case in range(3):
        source = torch.randint(1, 60, (1, [4, 9, 17][case]))
        source[0, -1] = 0
        target = torch.randint(1, 60, (1, 6))
        given = torch.cat([torch.tensor([[60]]), target], 1)
        with torch.no_grad():
            out = model(input_ids=source, decoder_input_ids=given, output_attentions=True)
        searches = []
        for beams, penalty in [(1, 1.0), (2, 1.0), (4, 1.0), (4, 0.0), (8, 2.0)]:
            settings = GenerationConfig(
                num_beams=beams, num_return_sequences=beams, length_penalty=penalty, max_new_tokens=12, do_sample=False,
                early_stopping=False, pad_token_id=60, eos_token_id=0, decoder_start_token_id=60, bad_words_ids=[[60]],
                return_dict_in_generate=True, output_scores=True,
            )
            with torch.no_grad():
                found = model.generate(source, generation_config=settings)
            hypotheses = []
            for i, row in enumerate(found.sequences.tolist()):
                ids = row[1:]
                ids = ids[: ids.index(0) + 1] if 0 in ids else [t for t in ids if t != 60]
                score = None if beams == 1 else round(found.sequences_scores[i].item(), 6)
                hypotheses.append({"ids": ids, "normalised": score})
            searches.append({"beams": beams, "length_penalty": penalty, "hypotheses": hypotheses})
        cases.append({
            "source": source[0].tolist(), "target": target[0].tolist(),
            "encoder": numbers(out.encoder_last_hidden_state), "logits": numbers(out.logits),
            "cross": [numbers(a) for a in out.cross_attentions], "self": [numbers(a) for a in out.decoder_attentions],
            "searches": searches,
        })
        ended = [h["ids"][-1] == 0 for s in searches for h in s["hypotheses"]]
        print(name, case, f"{sum(ended)} of {len(ended)} hypotheses ended")
    (folder / "golden.json").write_text(json.dumps({"start": 60, "end": 0, "never": [60], "cases": cases}) + "\n")


for name, (seed, sizes) in MODELS.items():
    make(name, seed, sizes)
