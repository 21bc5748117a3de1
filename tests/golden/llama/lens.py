"""Golden probabilities of the token lens: SmolLM2-135M-Instruct's last logits through transformers' own logits processors.

Writes `lens.json` beside this script:

    python tests/golden/llama/lens.py PATH/SmolLM2-135M-Instruct.Q4_1.gguf

For the last position of each prompt: the twenty likeliest ids under the raw logits with their probabilities, and for each
setting the twenty likeliest after the repetition penalty (`ids`, where they differ from the raw ones) with their
probabilities after every step that is switched on, in the order and by the processors that `generate` uses
(`sampling/generate.py` builds them the same way). Probabilities are softmax in f64 over the whole vocabulary; 0 is a
removed token. The history that the penalty sees is the prompt. No case has a threshold so near that rounding decides.
The texts are those of `smollm2.py`.
"""

import argparse
import sys

import numpy as np
import torch
from reference import HERE, PACKAGES, load_model, load_tokenizer, sha256

sys.path.insert(0, str(HERE.parent / "sampling"))
from common import header, significant, write_json  # noqa: E402
from generate import NEUTRAL, STEPS, near_threshold, probabilities, processors  # noqa: E402
from smollm2 import PROMPTS  # noqa: E402

NAMES = ["one-token", "english", "code", "chat", "portuguese", "emoji"]
SHOWN = 20
SETTINGS = [
    {"temperature": 0.2},
    {"temperature": 0.7, "top_p": 0.9},
    {"temperature": 1.5},
    {"temperature": 3.0, "top_k": 40},
    {"temperature": 2.0, "min_p": 0.05},
    {"top_k": 5},
    {"top_k": 50, "top_p": 0.5},
    {"top_p": 0.95, "min_p": 0.02},
    {"temperature": 0.8, "top_k": 30, "top_p": 0.92, "min_p": 0.03},
    {"repetition_penalty": 1.2, "temperature": 0.9, "top_k": 40},
]


def best(values):
    """Ids of the largest values, falling, ties by id."""
    values = values.numpy()
    return np.lexsort((np.arange(len(values)), -values))[:SHOWN].tolist()


def case(model, logits, ids, raw_ids, changes):
    """The probabilities after each step that `changes` switch on; `None` where rounding would decide."""
    settings = {**NEUTRAL, **changes}
    scores, history = logits[None], torch.tensor([ids])
    applied = {STEPS[type(p).__name__]: p for p in processors(model, settings)}
    shown, after = raw_ids, {}
    for step, processor in applied.items():
        if near_threshold(scores, settings, step):
            return None
        scores = processor(history, scores)
        if step == "penalty":
            shown = best(scores[0])
        after[step] = significant(probabilities(scores)[shown], 7)
    result = {"settings": changes, "after": after}
    return result if shown == raw_ids else {**result, "ids": shown}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", help="SmolLM2-135M-Instruct.Q4_1.gguf")
    gguf = parser.parse_args().gguf
    model, tokenizer = load_model(gguf), load_tokenizer(gguf)
    prompts = []
    for name in NAMES:
        ids = tokenizer.encode(PROMPTS[name]).ids
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0, -1]
        raw_ids = best(logits)
        cases = [case(model, logits, ids, raw_ids, changes) for changes in SETTINGS]
        kept = [c for c in cases if c]
        print(f"  {name}: {len(kept)} of {len(cases)} cases, likeliest {probabilities(logits[None]).max():.3f}")
        raw = significant(probabilities(logits[None])[raw_ids], 7)
        prompts.append({"name": name, "ids": ids, "top": raw_ids, "raw": raw, "cases": kept})
    facts = {"gguf_sha256": sha256(gguf), "dtype": "float32", "attention": "eager"}
    head = header("tests/golden/llama/lens.py", PACKAGES, **facts)
    write_json(HERE / "lens.json", {"header": head, "prompts": prompts})


if __name__ == "__main__":
    main()
