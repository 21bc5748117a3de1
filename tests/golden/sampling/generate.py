"""Golden distributions of the sampler: PyTorch transformers' own logits processors, in the order `generate` applies them.

Writes `sampling.json` beside this script. Run from anywhere, needs no model and no network:

    python tests/golden/sampling/generate.py

The processors are not listed by hand: `GenerationMixin._get_logits_processor` builds them from a `GenerationConfig`
with `do_sample=True`, and the order it gives is recorded in `header.order`. They run in f32, as in `generate`; the
probabilities after each step are the softmax (computed in f64) of the scores after that step, 0 for a removed token.

Two rules of the reference that a test must know:
- top-k keeps every token equal to the k-th score, so it can keep more than k;
- top-p sorts ascending and removes while the running sum is <= 1 - top_p. When that removes some of several equal
  scores, which ids stay is an accident of `torch.sort`, which is unstable and differs between processors: such a case
  says `"split_tie": true`, and a test must compare its probabilities as a sorted list, not by id. To make the file
  reproducible the sort is made stable here (the lower id goes first).
No case has a running sum within 5e-6 of its top-p threshold nor a probability within 1e-5 (relative) of its min-p
threshold, so rounding cannot change which tokens stay.
No text is used; the logits are pseudo-random.
"""

import sys
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import header, seeded, significant, write_json  # noqa: E402

SEED = 20240607
VOCAB = 51
STEPS = {
    "RepetitionPenaltyLogitsProcessor": "penalty",
    "TemperatureLogitsWarper": "temperature",
    "TopKLogitsWarper": "top_k",
    "TopPLogitsWarper": "top_p",
    "MinPLogitsWarper": "min_p",
}
NEUTRAL = {"repetition_penalty": 1.0, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
VALUES = {
    "repetition_penalty": [1.0, 1.3, 0.8],
    "temperature": [0.3, 0.7, 1.0, 1.5],
    "top_k": [0, 1, 5, 40],
    "top_p": [1.0, 0.9, 0.5, 0.1],
    "min_p": [0.0, 0.05, 0.3],
}


def processors(model, settings):
    """The list `generate` would use when it samples with `settings`."""
    config = GenerationConfig(do_sample=True, **settings)
    config._eos_token_tensor = None
    ids = torch.zeros((1, 1), dtype=torch.long)
    return model._get_logits_processor(
        generation_config=config,
        input_ids_seq_length=1,
        encoder_input_ids=ids,
        prefix_allowed_tokens_fn=None,
        logits_processor=[],
        device="cpu",
        model_kwargs={},
    )


def probabilities(scores):
    """Softmax in f64 of f32 scores `[1, vocab]`; removed tokens (minus infinity) are exactly 0."""
    return torch.softmax(scores.double(), dim=-1)[0]


def near_threshold(before, settings, step):
    """Whether rounding could change which tokens `step` keeps, given the scores `before` it."""
    probs = probabilities(before)
    if step == "top_p" and settings["top_p"] < 1:
        running = torch.sort(probs).values.cumsum(0)
        return bool(((running - (1 - settings["top_p"])).abs() < 5e-6).any())
    if step == "min_p" and settings["min_p"] > 0:
        limit = settings["min_p"] * probs.max()
        return bool(((probs - limit).abs() < 1e-5 * limit).any())
    return False


def run(model, name, logits, history, settings):
    """One case: the distribution after every step, in the reference's order."""
    scores = logits[None]
    ids = torch.tensor([history], dtype=torch.long)
    after, latest = {}, probabilities(scores)
    applied = {STEPS[type(p).__name__]: p for p in processors(model, settings)}
    order, split, fragile = list(STEPS.values()), False, False
    assert [s for s in order if s in applied] == list(applied), "the order of the reference has changed"
    for step in order:
        if step in applied and not (step == "penalty" and not history):
            before = scores
            scores = applied[step](ids, scores)
            latest = probabilities(scores)
            fragile |= near_threshold(before, settings, step)
            kept = torch.isfinite(scores[0])
            for value in before[0][torch.isfinite(before[0])].unique():
                same = before[0] == value
                stays = kept[same]
                split |= bool(stays.any() and not stays.all())
                assert stays.tolist() == sorted(stays.tolist()), "among equal scores the lower id must go first"
        after[step] = significant(latest, 9)
    assert not fragile, f"{name} {settings}: a threshold is too close for a portable test"
    listed = significant(logits)
    assert torch.equal(torch.tensor(listed), logits), "the listed logits must be the f32 that were used"
    return {
        "name": name,
        "logits": listed,
        "history": history,
        "settings": settings,
        "split_tie": split,
        "probs_after": after,
    }


def logit_sets(rng):
    """Name, logits `[vocab]`, history. Values are rounded so that the f32 in the file is the f32 that was used."""
    f32 = lambda a: torch.tensor([round(float(x), 4) for x in a], dtype=torch.float32)  # noqa: E731
    sets = []
    for i, scale in enumerate([1.0, 2.0, 4.0]):
        logits = f32(rng.normal(0.5, scale, VOCAB))
        sets.append((f"normal-{i}", logits, [int(x) for x in rng.integers(0, VOCAB, 12)]))
    ties = f32(rng.integers(-3, 4, VOCAB))
    sets.append(("ties", ties, [3, 3, 3, 7, 11, 11, 49, 0]))
    sets.append(("all-equal", f32([1.5] * VOCAB), [5, 20, 33]))
    extreme = rng.normal(0, 3, VOCAB)
    extreme[[4, 9]] = 50.0
    extreme[[12, 30]] = -50.0
    extreme[17] = 49.5
    sets.append(("extreme", f32(extreme), [4, 12, 17, 17]))
    peaked = rng.normal(-20, 5, VOCAB)
    peaked[31] = 20.0
    sets.append(("peaked", f32(peaked), []))
    zeros = rng.normal(0, 1, VOCAB)
    zeros[:10] = 0.0
    sets.append(("zeros", f32(zeros), list(range(20))))
    return sets


def main():
    torch.set_num_threads(1)
    unstable_sort = torch.sort
    torch.sort = lambda scores, descending=False: unstable_sort(scores, stable=True, dim=-1, descending=descending)
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1)
    )
    everything = {"repetition_penalty": 1.3, "temperature": 0.7, "top_k": 40, "top_p": 0.9, "min_p": 0.05}
    order = [type(p).__name__ for p in processors(model, everything)]
    assert order == list(STEPS), order

    rng = seeded(SEED)
    cases = []
    for name, logits, history in logit_sets(rng):
        cases.append(run(model, f"{name}/neutral", logits, history, dict(NEUTRAL)))
        for key, values in VALUES.items():
            for value in values:
                if value != NEUTRAL[key]:
                    cases.append(run(model, f"{name}/{key}={value}", logits, history, {**NEUTRAL, key: value}))
        cases.append(run(model, f"{name}/everything", logits, history, everything))
        for i in range(5):
            settings = {k: v[int(rng.integers(0, len(v)))] for k, v in VALUES.items()}
            cases.append(run(model, f"{name}/mixed-{i}", logits, history, settings))
    facts = {"order": order, "steps": list(STEPS.values()), "cases": len(cases)}
    write_json(
        HERE / "sampling.json",
        {"header": header("tests/golden/sampling/generate.py", ["torch", "transformers", "numpy"], SEED, **facts), "cases": cases},
    )
    print("split ties:", [c["name"] for c in cases if c["split_tie"]])


if __name__ == "__main__":
    main()
