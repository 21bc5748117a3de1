"""Golden next-token log-probabilities and perplexity of SmolLM2-135M-Instruct on real prose, from PyTorch in f32.

Writes `perplexity.json` beside this script:

    python tests/golden/llama/perplexity.py PATH/SmolLM2-135M-Instruct.Q4_1.gguf

`prose.txt` is cut into consecutive windows of 512 tokens, each computed from an empty cache; the remainder is dropped.
It is chapters 11 and 12 (in part) of Jane Austen's "Persuasion", 1818, public domain; from the Debian package
r-cran-janeaustenr 1.0.0-1 (MIT; a Project Gutenberg transcription), lines joined to paragraphs, headings left out.
"""

import argparse
import math

import numpy as np
import torch
from reference import HERE, PACKAGES, load_model, load_tokenizer, logsumexp, sha256, top10

from common import header, significant, write_json

WINDOW = 512
WINDOWS = 5


def window_case(model, ids):
    """The file's entry of one window, and its log-probabilities `[seq - 1]` in full precision."""
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0]
    norm = logsumexp(logits)
    targets = torch.tensor(ids[1:])
    logprobs = logits[:-1].double().gather(1, targets[:, None])[:, 0] - norm[:-1]
    best = [top10(row, 9) for row in logits]
    entry = {
        "ids": ids,
        "logprobs": [round(x, 6) for x in logprobs.tolist()],
        "top_ids": [[i for i, _ in row] for row in best],
        "top_logits": [[round(v, 4) for _, v in row] for row in best],
        "logsumexp": [round(x, 6) for x in norm.tolist()],
    }
    return entry, logprobs.numpy(), logits.abs().max().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", help="SmolLM2-135M-Instruct.Q4_1.gguf")
    gguf = parser.parse_args().gguf
    model, tokenizer = load_model(gguf), load_tokenizer(gguf)
    ids = tokenizer.encode((HERE / "prose.txt").read_text(encoding="utf-8")).ids
    assert len(ids) >= WINDOW * WINDOWS, len(ids)
    windows, logprobs, largest = [], [], 0.0
    for start in range(0, WINDOW * WINDOWS, WINDOW):
        entry, values, peak = window_case(model, ids[start : start + WINDOW])
        windows.append(entry)
        logprobs.append(values)
        largest = max(largest, peak)
    mean_nll = float(-np.concatenate(logprobs).mean())
    predicted = WINDOWS * (WINDOW - 1)
    facts = {"gguf_sha256": sha256(gguf), "dtype": "float32", "attention": "eager", "text": "prose.txt", "window": WINDOW}
    write_json(
        HERE / "perplexity.json",
        {
            "header": header("tests/golden/llama/perplexity.py", PACKAGES, **facts),
            "predicted_tokens": predicted,
            "mean_nll": mean_nll,
            "perplexity": math.exp(mean_nll),
            "window_nll": significant([-v.mean() for v in logprobs], 12),
            "windows": windows,
        },
    )
    print(f"{len(ids)} tokens, {predicted} predicted, perplexity {math.exp(mean_nll):.6f}, largest |logit| {largest:.2f}")


if __name__ == "__main__":
    main()
