"""Golden logits, hidden states, attention and greedy text of SmolLM2-135M-Instruct, from PyTorch transformers in f32.

Writes `smollm2.json` beside this script:

    python tests/golden/llama/smollm2.py PATH/SmolLM2-135M-Instruct.Q4_1.gguf

The reference is `AutoModelForCausalLM.from_pretrained(gguf_file=…)` in f32 with eager attention, so it computes on the
dequantised weights of the very file that Glassformer reads; every parameter is compared with the file first.
Token ids come from the file's own vocabulary and merges through the `tokenizers` package.

Texts: written for this purpose, except `opticks.txt` (prompt "long"): the opening of Isaac Newton's "Opticks",
4th edition, 1730, public domain; from the Go source tree's test data (Debian package golang-1.19-src 1.19.8-2,
`src/testdata/Isaac.Newton-Opticks.txt`, a Project Gutenberg transcription), lines joined to paragraphs, figures left out.
"""

import argparse

import torch
from reference import HERE, PACKAGES, capture, load_model, load_tokenizer, logsumexp, sha256, top10

from common import header, significant, write_json

CHAT = (
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
PROMPTS = {
    "one-token": "The",
    "english-short": "The river bank was covered with wild flowers.",
    "english": "The margin of the lake lay still in the early light. A heron stood among the reeds, waiting, and the"
    " only sound was the slow drip of water from the oars. She had promised herself that this year would be different,"
    " but when the letter came she put it, unopened, into the drawer with the others and went",
    "code": "def fibonacci(n: int) -> list[int]:\n    \"\"\"Return the first n Fibonacci numbers.\"\"\"\n"
    "    numbers = [0, 1]\n    while len(numbers) < n:\n        numbers.append(numbers[-1] + numbers[-2])\n    return",
    "rust": "impl<T: Clone> Stack<T> {\n\tpub fn push(&mut self, item: T) {\n\t\tself.items.push(item);\n\t}\n\n\tpub fn pop(",
    "chat": CHAT.format("What is the capital of France?"),
    "chat-short": "<|im_start|>user\nName a colour.<|im_end|>\n<|im_start|>assistant\n",
    "portuguese": "A biblioteca fica junto ao rio, e todas as manhãs os pescadores contam histórias de quando não havia"
    " pontes. O livro mais antigo é sobre a navegação e a",
    "chinese": "春天来了，河边的柳树长出了新的叶子。孩子们在草地上放风筝，老人们坐在长椅上",
    "arabic": "كان الكتاب على الطاولة بجانب النافذة، وكانت الشمس تشرق على المدينة القديمة. قال المعلم: السلام",
    "digits": "12 + 30 = 42, 7 * 8 = 56, 1024 / 16 = 64, 3.14159 * 2 = 6.28318, 99 - 100 =",
    "emoji": "I love 🍕 and 🎉! 👩‍👩‍👧‍👦 went to the 🏖️ in 🇵🇹 — e\u0301 is é, naïve café ☕️. Today I feel",
    "spaces": "name      age   city\n\n\nAnna        31   Porto\t\t\nBruno        4   ",
    "contractions": "It's what they'd said they'll do; we've no idea, I'm sure you're right, but he can't or won't",
}
HIDDEN = ["english-short", "chat-short"]
HIDDEN_LAYERS = [0, 14, 29]
ATTENTION = [(layer, head) for layer in (0, 7, 29) for head in (0, 4, 8)]
GREEDY = ["chat", "english", "code"]
GREEDY_STEPS = 32


def positions(count):
    """First, some in between, the last two; around 256, 512 and 1024 too, where caches and chunks change size."""
    marks = [0, 1, count // 3, 2 * count // 3, count - 2, count - 1, 255, 256, 511, 512, 1023, 1024]
    return sorted({m for m in marks if 0 <= m < count})


def prompt_case(model, tokenizer, name, text):
    """Top-10 logits and logsumexp at chosen positions; hidden states and attention for the two prompts of `HIDDEN`."""
    ids = tokenizer.encode(text).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text, name
    out = capture(model, ids)
    where = positions(len(ids))
    case = {
        "name": name,
        "text": text,
        "ids": ids,
        "positions": where,
        "top": [[{"id": i, "logit": v} for i, v in top10(out["logits"][p])] for p in where],
        "logsumexp": significant(logsumexp(out["logits"][where]), 9),
    }
    if name in HIDDEN:
        case["hidden"] = {
            "position": len(ids) - 1,
            "embed": significant(out["embed"][-1]),
            "layers": [{"layer": i, "values": significant(out["layers"][i][-1])} for i in HIDDEN_LAYERS],
            "norm": significant(out["norm"][-1]),
        }
        case["attention"] = [
            {"layer": layer, "head": head, "weights": significant(out["attention"][layer][head])}
            for layer, head in ATTENTION
        ]
    print(f"  {name}: {len(ids)} tokens, largest |logit| {out['logits'].abs().max():.2f}")
    return case


def greedy_case(model, tokenizer, name, text):
    """The most probable token, 32 times, with the reference's own cache; `margins` is top-1 minus top-2 of each step."""
    ids = tokenizer.encode(text).ids
    continuation, margins, cache, step = [], [], None, torch.tensor([ids])
    with torch.no_grad():
        for _ in range(GREEDY_STEPS):
            out = model(step, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            best = top10(out.logits[0, -1], 9)
            continuation.append(best[0][0])
            margins.append(significant(best[0][1] - best[1][1], 4))
            step = torch.tensor([[best[0][0]]])
    text_out = tokenizer.decode(continuation, skip_special_tokens=False)
    print(f"  {name}: smallest margin {min(margins)}: {text_out!r}")
    return {"name": name, "ids": ids, "continuation": continuation, "margins": margins, "continuation_text": text_out}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf", help="SmolLM2-135M-Instruct.Q4_1.gguf")
    gguf = parser.parse_args().gguf
    model, tokenizer = load_model(gguf), load_tokenizer(gguf)
    prompts = {**PROMPTS, "long": (HERE / "opticks.txt").read_text(encoding="utf-8").rstrip("\n")}
    facts = {"gguf_sha256": sha256(gguf), "dtype": "float32", "attention": "eager"}
    write_json(
        HERE / "smollm2.json",
        {
            "header": header("tests/golden/llama/smollm2.py", PACKAGES, **facts),
            "prompts": [prompt_case(model, tokenizer, n, t) for n, t in prompts.items()],
            "greedy": [greedy_case(model, tokenizer, n, PROMPTS[n]) for n in GREEDY],
        },
    )


if __name__ == "__main__":
    main()
