"""A small seeded MarianMT checkpoint in the files of the hub, from PyTorch transformers in f32.

    python tests/golden/marian/hub.py

Writes, beside this script, `hub/`: `config.json`, `generation_config.json`, `source.spm`, `target.spm`, `vocab.json`,
`pytorch_model.bin` as PyTorch writes it since 1.6, and `before-1.6.bin`, the same tensors as it was written before; and
`hub.json`:

The storages of `before-1.6.bin` are named by where they lay in memory, so that file differs from run to run.

    texts: [{text, ids, beams, target}]: what `MarianTokenizer` makes of a text, and the translation `generate` finds with so
           many beams, at most two tokens for each of the text, as text without special tokens
    given: [{text, ids}]: what it makes of translations that are given, which `target.spm` cuts
"""

import contextlib
import json
import math
import pathlib
import shutil
import tempfile

import sentencepiece
import torch
from transformers import GenerationConfig, MarianConfig, MarianMTModel, MarianTokenizer

HERE = pathlib.Path(__file__).parent
SEED = 303
# Pieces that the source's model knows and the vocabulary does not.
FORGOTTEN = ["z", "!"]
TEXTS = [
    "Everyone has the right to life, liberty and the security of person.",
    "  The   family is the natural unit ",
    "Nobody knows zebras!",
    "café 日本 naïve",
    ">>por<< No one shall be held in slavery.",
    ">>xxx<< No one",
    "</s> <unk> <pad>",
]


def spm(folder, name, sentences):
    # The model keeps its prefix, which is to name no folder of whoever runs this.
    with contextlib.chdir(folder):
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(sentences), model_prefix=name, vocab_size=180, model_type="unigram",
            normalization_rule_name="identity", character_coverage=1.0, bos_id=-1, eos_id=0, unk_id=1, hard_vocab_limit=False,
        )
    (folder / f"{name}.vocab").unlink()
    (folder / f"{name}.model").rename(folder / f"{name}.spm")
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / f"{name}.spm"))
    return [model.id_to_piece(i) for i in range(2, model.get_piece_size())]


folder = HERE / "hub"
shutil.rmtree(folder, ignore_errors=True)
folder.mkdir()
sentences = json.loads((HERE.parent / "translate" / "sentences.json").read_text())
pieces = spm(folder, "source", sentences["en"]) + spm(folder, "target", sentences["pt"])
known = dict.fromkeys(["</s>", "<unk>", *(p for p in pieces if p not in FORGOTTEN), ">>por<<", "<pad>"])
vocabulary = {token: i for i, token in enumerate(known)}
(folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False, indent=0) + "\n")
size, pad = len(vocabulary), vocabulary["<pad>"]
config = MarianConfig(
    vocab_size=size, decoder_vocab_size=size, pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad,
    bad_words_ids=[[pad]], forced_eos_token_id=None, d_model=16, encoder_layers=1, decoder_layers=1,
    encoder_attention_heads=2, decoder_attention_heads=4, encoder_ffn_dim=20, decoder_ffn_dim=24,
    activation_function="swish", max_position_embeddings=128, scale_embedding=True, static_position_embeddings=True,
    dropout=0.0, attention_dropout=0.0, activation_dropout=0.0,
)
torch.manual_seed(SEED)
model = MarianMTModel(config).eval()
with torch.no_grad():
    for key, weight in model.named_parameters():
        if "embed_positions" not in key:
            scale = 0.4 if weight.dim() > 1 else 0.1
            weight.copy_(torch.randn(weight.shape) * scale + (1.0 if "norm.weight" in key else 0.0))
with tempfile.TemporaryDirectory() as saved:
    model.save_pretrained(saved, safe_serialization=False)
    for name in ("config.json", "generation_config.json", "pytorch_model.bin"):
        shutil.copy(pathlib.Path(saved) / name, folder / name)
torch.save(model.state_dict(), folder / "before-1.6.bin", _use_new_zipfile_serialization=False)

tokenizer = MarianTokenizer(
    str(folder / "source.spm"), str(folder / "target.spm"), str(folder / "vocab.json"), source_lang="en", target_lang="pt",
)
cases = []
for text in TEXTS:
    # Special tokens are no text here: what is typed is translated.
    ids = tokenizer.convert_tokens_to_ids(tokenizer._tokenize(text)) + [0]
    for beams in (1, 3):
        settings = GenerationConfig(
            num_beams=beams, max_new_tokens=math.ceil(2 * len(ids)), do_sample=False, early_stopping=False, pad_token_id=pad,
            eos_token_id=0, decoder_start_token_id=pad, bad_words_ids=[[pad]], length_penalty=1.0,
        )
        with torch.no_grad():
            found = model.generate(torch.tensor([ids]), generation_config=settings)
        target = tokenizer.decode(found[0], skip_special_tokens=True)
        cases.append({"text": text, "ids": ids, "beams": beams, "target": target})
given = [
    {"text": text, "ids": tokenizer(text_target=text)["input_ids"]}
    for text in ("ser ser following no", "Toda a pessoa tem direito à vida, à liberdade e à segurança.", " ninguém   sabe")
]
(HERE / "hub.json").write_text(json.dumps({"texts": cases, "given": given}, ensure_ascii=False, indent=1) + "\n")
print(size, "tokens;", [case["target"][:40] for case in cases])
