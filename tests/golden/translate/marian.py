"""Bergamot's arithmetic, digit for digit: what `fast` is compared with where it differs, and what each part of it matters.

    python3 marian.py MODELS                                   how many of sentences.json it translates as bergamot.json
    python3 marian.py MODELS --without overflow sums exp       the same with parts in ordinary arithmetic
    python3 marian.py MODELS --products products.json          the input of each product bit by bit; from products.mjs

MODELS as for twin.py; needs numpy, torch (only because twin.py does) and sentencepiece. The parts:

overflow    intgemm adds two neighbouring products of bytes in 16 bits, and stays at the limit beyond.
sums        Sums go from the first to the last (norms, Eigen's products; a softmax in four lanes if its row is a
            multiple of four). Keys behind the last four have four sums, for queries in whole fours.
exp         A softmax uses sse_mathfun if its row is a multiple of four, else musl's expf; a gate always the first.
positions   The angles of positions are f32.
"""

import argparse
import base64
import json
import math
import pathlib

import numpy as np
from sentencepiece import SentencePieceProcessor

from twin import DECODER, HEADS, LAYERS, WIDTH, read, shortlist

F = np.float32
PARTS = ["overflow", "sums", "exp", "positions"]


def exp_lanes(x):
    """sse_mathfun's exp_ps."""
    x = np.clip(x, F(-88.3762626647949), F(88.3762626647949))
    n = np.floor(x * F(1.44269504088896341) + F(0.5))
    x = n * F(2.12194440e-4) + (x + n * F(-0.693359375))
    y = np.full_like(x, F(1.9875691500e-4))
    for c in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        y = y * x + F(c)
    return (x + x * x * y + F(1)) * ((n.astype(np.int32) + 127) << 23).view(F)


def exp_one(x):
    """musl's expf."""
    c = [float.fromhex(c) for c in ("0x1.c6af84b912394p-5", "0x1.ebfce50fac4f3p-3", "0x1.62e42ff0c52d6p-1")]
    z = np.maximum(x, F(-110)).astype(np.float64) * (32 * float.fromhex("0x1.71547652b82fep+0"))
    n = np.rint(z)
    r = z - n
    y = (c[0] / 32**3 * r + c[1] / 32**2) * (r * r) + (c[2] / 32 * r + 1)
    return (y * 2.0 ** (n / 32)).astype(F)


def in_order(x):
    """Sums along the last axis, from the first to the last."""
    return np.add.accumulate(x, axis=-1, dtype=F)[..., -1]


class Student:
    def __init__(self, folder, without=()):
        name = folder.name
        self.exact = {part: part not in without for part in PARTS}
        self.w = {}
        for key, value in read(folder / f"model.{name}.intgemm.alphas.bin").items():
            if isinstance(value, tuple):
                self.w[key] = value[0].numpy(), F(value[1])
            else:
                self.w[key] = value.numpy()
        self.lex = folder / f"lex.50.50.{name}.s2t.bin"
        self.tokenizer = SentencePieceProcessor(model_file=str(folder / f"vocab.{name}.spm"))
        q, m = self.w["Wemb"]
        self.embedding = q.astype(F) * (F(1) / m) * F(16)
        i = np.arange(WIDTH // 2)
        if self.exact["positions"]:
            frequency = np.exp((i.astype(F) * -(F(math.log(10000)) / F(WIDTH // 2 - 1))).astype(np.float64)).astype(F)
        else:
            frequency = 10000.0 ** (-i / (WIDTH // 2 - 1))
        angles = (np.arange(1024, dtype=frequency.dtype)[:, None] * frequency).astype(np.float64)
        self.positions = np.concatenate([np.sin(angles), np.cos(angles)], 1).astype(F)
        self.matrices = {key: self.prepare(key) for key, value in self.w.items() if isinstance(value, tuple)}
        self.overflown, self.products = 0, []

    def prepare(self, name):
        """Weights, multipliers, the bias with the shift taken back, and the pairs that may overflow."""
        q, m = self.w[name]
        bias = "decoder_ff_logit_out_b" if name == "Wemb" else "_b".join(name.rsplit("_W", 1))
        alpha = F(self.w["none_QuantMultA" if name == "Wemb" else f"{name}_QuantMultA"][0])
        back = -((F(127) / alpha) * (F(127) / m)) / F(127)
        b = q.astype(np.int32).sum(1).astype(F) * back + self.w.get(bias, F(0))
        pairs = q.astype(np.float64).reshape(len(q), -1, 2)
        row, pair = np.nonzero(np.abs(pairs.sum(2)) >= 130)
        return q.astype(np.float64), alpha, F(1) / (alpha * m), b, (row, pair, pairs[row, pair])

    def linear(self, x, name, words=None):
        q, alpha, scale, b, (row, pair, large) = self.matrices[name]
        self.products.append((float(alpha), x))
        a = np.clip(np.rint(x * alpha), -127, 127).astype(np.float64) + 127
        total = a @ q[words].T if words is not None else a @ q.T
        if self.exact["overflow"]:
            here = {word: at for at, word in enumerate(words)} if words is not None else None
            for r, p, (first, second) in zip(row, pair, large):
                at = r if here is None else here.get(int(r))
                if at is not None:
                    sums = a[:, 2 * p] * first + a[:, 2 * p + 1] * second
                    beyond = sums - np.clip(sums, -32768, 32767)
                    self.overflown += int((beyond != 0).sum())
                    total[:, at] -= beyond
        return total.astype(F) * scale + (b[words] if words is not None else b)

    def sum(self, x):
        return in_order(x) if self.exact["sums"] else x.sum(-1, dtype=F)

    def norm(self, x, at):
        centred = x - (self.sum(x) / F(WIDTH))[:, None]
        sigma = np.sqrt(self.sum(centred * centred) / F(WIDTH) + F(1e-6))[:, None]
        return self.w[f"{at}_ln_scale"] * (centred / sigma) + self.w[f"{at}_ln_bias"]

    def softmax(self, x):
        lanes = x.shape[-1] % 4 == 0
        exp = (exp_lanes if lanes else exp_one) if self.exact["exp"] else np.exp
        x = exp(x - x.max(-1, keepdims=True))
        if lanes and self.exact["sums"]:
            total = in_order(in_order(x.reshape(*x.shape[:-1], -1, 4).swapaxes(-1, -2)))
        else:
            total = self.sum(x)
        return x / total[..., None]

    def product(self, a, b):
        if not self.exact["sums"]:
            return a @ b
        total = np.zeros((*a.shape[:-1], b.shape[-1]), F)
        for k in range(a.shape[-1]):
            total = total + a[..., k : k + 1] * b[..., k : k + 1, :]
        return total

    def heads(self, x, at, part):
        return self.linear(x, f"{at}_W{part}").reshape(len(x), HEADS, -1).transpose(1, 0, 2)

    def attention(self, x, at, keys, values):
        query = self.heads(x, at, "q")
        scores = self.product(query, keys.transpose(0, 2, 1))
        fours, last = len(x) // 4 * 4, keys.shape[1] // 4 * 4
        if self.exact["sums"] and fours and last < keys.shape[1]:
            pairs = query[:, :fours, None] * keys[:, None, last:]
            four = in_order(pairs.reshape(*pairs.shape[:-1], -1, 4).swapaxes(-1, -2))
            scores[:, :fours, last:] = (four[..., 0] + four[..., 1]) + (four[..., 2] + four[..., 3])
        probs = self.softmax(scores * (F(1) / np.sqrt(F(WIDTH // HEADS))))
        out = self.product(probs, values).transpose(1, 0, 2).reshape(len(x), WIDTH)
        return self.norm(self.linear(out, f"{at}_Wo") + x, f"{at}_Wo")

    def feed(self, x, at):
        inner = np.maximum(self.linear(x, f"{at}_W1"), F(0))
        return self.norm(self.linear(inner, f"{at}_W2") + x, f"{at}_ffn")

    def encode(self, ids):
        x = self.embedding[ids] + self.positions[: len(ids)]
        for layer in range(1, LAYERS + 1):
            at = f"encoder_l{layer}_self"
            x = self.attention(x, at, self.heads(x, at, "k"), self.heads(x, at, "v"))
            x = self.feed(x, f"encoder_l{layer}_ffn")
        return x

    def step(self, last, position, cells, cross, words):
        x = (self.embedding[[last]] if last is not None else np.zeros((1, WIDTH), F)) + self.positions[position]
        for i in range(DECODER):
            at = f"decoder_l{i + 1}"
            gate = self.linear(x, f"{at}_rnn_Wf")
            e = exp_lanes(gate) if self.exact["exp"] else np.exp(gate)
            gate = e / (F(1) + e)
            cells[i] = gate * cells[i] + (F(1) - gate) * self.linear(x, f"{at}_rnn_W")
            x = self.norm(np.maximum(cells[i], F(0)) + x, f"{at}_rnn_ffn")
            x = self.attention(x, f"{at}_context", *cross[i])
            x = self.feed(x, f"{at}_ffn")
        return self.linear(x, "Wemb", words)[0]

    def translate(self, text):
        ids = self.tokenizer.encode(text) + [0]
        words = shortlist(self.lex, ids)
        states = self.encode(ids)
        at = [f"decoder_l{i + 1}_context" for i in range(DECODER)]
        cross = [(self.heads(states, at, "k"), self.heads(states, at, "v")) for at in at]
        cells, last, out = [np.zeros((1, WIDTH), F)] * DECODER, None, []
        for position in range(2 * len(ids)):
            logits = self.step(last, position, cells, cross, words)
            logits[words.index(1)] = -np.inf
            last = words[int(logits.argmax())]
            if last == 0:
                break
            out.append(last)
        return self.tokenizer.decode(out)


def compare(models, file):
    """Every input of Bergamot's products must be among ours; keys and values come at another time."""
    seen = json.loads(file.read_text("utf-8"))
    student = Student(models / seen["pair"])
    print(student.translate(seen["text"]), seen["translation"], sep="\n")
    ours = {(alpha, x.tobytes()) for alpha, x in student.products}
    theirs = [(F(p["multiplier"]), base64.b64decode(p["input"])) for p in seen["products"]]
    same = sum((float(alpha), x) in ours for alpha, x in theirs)
    print(same, "of", len(theirs), "inputs of products are the same bits;", len(student.products), "products here")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--without", nargs="+", choices=PARTS, default=[])
    parser.add_argument("--products", type=pathlib.Path)
    options = parser.parse_args()
    if options.products:
        return compare(options.models, options.products)
    here = pathlib.Path(__file__).parent
    sentences, bergamot = (json.loads((here / f"{name}.json").read_text("utf-8")) for name in ("sentences", "bergamot"))
    for language, name in [("en", "enpt"), ("pt", "pten")]:
        student = Student(options.models / name, options.without)
        both = list(zip(sentences[language], bergamot[language]))
        same = [student.translate(text) == expected for text, expected in both]
        print(f"{name}: {sum(same)} of {len(same)} as Bergamot; {student.overflown} pairs overflowed", flush=True)


if __name__ == "__main__":
    main()
