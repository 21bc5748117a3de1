"""A small PyTorch twin of the student translators, written from the facts of the format: what `exact` is compared with.

    python3 twin.py MODELS > twin.json          needs torch and tokenizers

MODELS is a folder with enpt/ and pten/ as models/manifest.json describes them, and in each the tokenizer.json of the
package they come from. Writes, for each direction, greedy translations of sentences.json with the shortlist, and for the
first sentence of each the encoder's states and the logits of every step over the whole vocabulary.

`twin.py MODELS --integers [--saturate]` multiplies integers as Marian does, to find out where differences come from.
"""

import argparse
import json
import math
import pathlib
import struct
import sys

import torch
from tokenizers import Tokenizer

LAYERS, DECODER, HEADS, WIDTH = 6, 2, 8, 256


def read(path):
    """Tensors of a Marian file: f32 numbers, or (bytes [out, in], multiplier)."""
    data = path.read_bytes()
    _, count = struct.unpack_from("<QQ", data)
    headers = [struct.unpack_from("<4Q", data, 16 + 32 * i) for i in range(count)]
    at = 16 + 32 * count
    names, shapes, tensors = [], [], {}
    for length, *_ in headers:
        names.append(data[at : at + length - 1].decode())
        at += length
    for _, _, dims, _ in headers:
        shapes.append(struct.unpack_from(f"<{dims}i", data, at))
        at += 4 * dims
    at += 8 + struct.unpack_from("<Q", data, at)[0]
    for (_, kind, _, length), name, shape in zip(headers, names, shapes):
        size = math.prod(shape)
        if kind == 0x404:
            tensors[name] = torch.frombuffer(bytearray(data[at : at + 4 * size]), dtype=torch.float32)
        elif kind == 0x4101 and name != "Wemb_QuantMultA":
            q = torch.frombuffer(bytearray(data[at : at + size]), dtype=torch.int8)
            rows = shape if name == "Wemb" else shape[::-1]
            tensors[name] = q.reshape(rows), struct.unpack_from("<f", data, at + size)[0]
        at += length
    return tensors


def shortlist(path, source, vocab=32000):
    data = path.read_bytes()
    _, _, first, _, offsets, words = struct.unpack_from("<6Q", data)
    place = struct.unpack_from(f"<{offsets}Q", data, 48)
    listed = struct.unpack_from(f"<{words}I", data, 48 + 8 * offsets)
    chosen = set(range(first)) | set(source)
    for word in source:
        chosen.update(listed[place[word] : place[word + 1]])
    more = (i for i in range(first, vocab) if i not in chosen)
    while len(chosen) % 8:
        chosen.add(next(more))
    return sorted(chosen)


class Student:
    def __init__(self, folder, integers=False, saturate=False):
        name = folder.name
        self.w = read(folder / f"model.{name}.intgemm.alphas.bin")
        self.lex = folder / f"lex.50.50.{name}.s2t.bin"
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.integers, self.saturate = integers, saturate
        self.saturated = 0
        q, m = self.w["Wemb"]
        self.embedding = q.float() * torch.tensor(1 / m, dtype=torch.float32)
        # In f32, as Marian has it.
        step = torch.tensor(math.log(10000.0)) / (WIDTH // 2 - 1)
        frequencies = (torch.arange(WIDTH // 2) * -step).double().exp().float()
        angles = (torch.arange(1024)[:, None] * frequencies).double()
        self.positions = torch.cat([angles.sin(), angles.cos()], 1).float()

    def linear(self, x, name, bias=None, alpha=None, rows=None):
        q, m = self.w[name]
        b = self.w[bias] if bias else torch.zeros(q.shape[0])
        if rows is not None:
            q, b = q[rows], b[rows]
        if not self.integers:
            return x @ (q.float() * torch.tensor(1 / m, dtype=torch.float32)).T + b
        alpha = self.w[alpha or f"{name}_QuantMultA"]
        a = torch.clamp(torch.round(x * alpha), -127, 127) + 127
        if self.saturate:
            pairs = a.reshape(-1, 1, q.shape[1] // 2, 2) * q.float().reshape(1, q.shape[0], -1, 2)
            pairs = pairs.sum(3)
            self.saturated += int((pairs.abs() > 32767).sum())
            total = pairs.clamp(-32768, 32767).double().sum(2).float()
        else:
            total = (a.double() @ q.double().T).float()
        scale = torch.tensor(1.0) / (alpha * torch.tensor(m))
        back = -(127.0 / alpha) * (127.0 / torch.tensor(m)) / 127.0
        return total.reshape(*x.shape[:-1], -1) * scale + (q.double().sum(1).float() * back + b)

    def norm(self, x, at):
        return torch.nn.functional.layer_norm(x, (WIDTH,), self.w[f"{at}_ln_scale"], self.w[f"{at}_ln_bias"], 1e-6)

    def heads(self, x, at, part):
        x = self.linear(x, f"{at}_W{part}", f"{at}_b{part}")
        return x.reshape(len(x), HEADS, -1).transpose(0, 1)

    def attention(self, x, at, keys, values):
        probs = torch.softmax(self.heads(x, at, "q") @ keys.transpose(1, 2) / math.sqrt(WIDTH / HEADS), -1)
        out = (probs @ values).transpose(0, 1).reshape(len(x), WIDTH)
        return self.norm(x + self.linear(out, f"{at}_Wo", f"{at}_bo"), f"{at}_Wo")

    def feed(self, x, at):
        inner = torch.relu(self.linear(x, f"{at}_W1", f"{at}_b1"))
        return self.norm(x + self.linear(inner, f"{at}_W2", f"{at}_b2"), f"{at}_ffn")

    def encode(self, ids):
        x = self.embedding[ids] * 16 + self.positions[: len(ids)]
        for layer in range(1, LAYERS + 1):
            at = f"encoder_l{layer}_self"
            x = self.attention(x, at, self.heads(x, at, "k"), self.heads(x, at, "v"))
            x = self.feed(x, f"encoder_l{layer}_ffn")
        return x

    def start(self, states):
        self.cross = []
        for layer in range(1, DECODER + 1):
            at = f"decoder_l{layer}_context"
            self.cross.append((self.heads(states, at, "k"), self.heads(states, at, "v")))
        return [torch.zeros(WIDTH) for _ in range(DECODER)]

    def step(self, last, position, cells, rows=None):
        """Logits behind the token `last` (None at the start)."""
        x = torch.zeros(1, WIDTH) if last is None else self.embedding[last][None] * 16
        x = x + self.positions[position]
        for i in range(DECODER):
            at = f"decoder_l{i + 1}"
            candidate = self.linear(x, f"{at}_rnn_W")
            gate = torch.sigmoid(self.linear(x, f"{at}_rnn_Wf", f"{at}_rnn_bf"))
            cells[i] = gate[0] * cells[i] + (1 - gate[0]) * candidate[0]
            x = self.norm(x + torch.relu(cells[i]), f"{at}_rnn_ffn")
            x = self.attention(x, f"{at}_context", *self.cross[i])
            x = self.feed(x, f"{at}_ffn")
        return self.linear(x, "Wemb", "decoder_ff_logit_out_b", "none_QuantMultA", rows)[0]

    def ids(self, text):
        return self.tokenizer.encode(text).ids + [0]

    def translate(self, text):
        ids = self.ids(text)
        words = shortlist(self.lex, ids)
        cells, last, out = self.start(self.encode(ids)), None, []
        for position in range(2 * len(ids)):
            logits = self.step(last, position, cells, words)
            logits[words.index(1)] = -math.inf
            last = words[int(logits.argmax())]
            if last == 0:
                break
            out.append(last)
        return self.tokenizer.decode(out)

    def looked_at(self, text, target):
        """The encoder's states, and the logits of every step of a given translation."""
        ids = self.ids(text)
        states = self.encode(ids)
        cells, last, logits = self.start(states), None, []
        for position, token in enumerate([*target, 0]):
            logits.append(self.step(last, position, cells))
            last = token
        return {"source": ids, "target": [*target, 0], "states": states, "logits": torch.stack(logits)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("models", type=pathlib.Path)
    parser.add_argument("--integers", action="store_true")
    parser.add_argument("--saturate", action="store_true")
    parser.add_argument("--first", type=int, default=None, help="only so many sentences")
    options = parser.parse_args()
    torch.set_num_threads(1)
    here = pathlib.Path(__file__).parent
    sentences = json.loads((here / "sentences.json").read_text("utf-8"))
    result = {}
    for language, name in [("en", "enpt"), ("pt", "pten")]:
        student = Student(options.models / name, options.integers, options.saturate)
        chosen = sentences[language][: options.first]
        result[language] = [student.translate(text) for text in chosen]
        if options.saturate:
            print(name, student.saturated, "pairs overflowed", file=sys.stderr)
        if not options.integers:
            text = "The bank is by the river." if language == "en" else "A margem está junto ao rio."
            target = student.tokenizer.encode(student.translate(text)).ids
            seen = student.looked_at(text, target)
            # Enough to tell: every 16th state, every 512th logit.
            seen["states"] = [round(x, 6) for x in seen["states"].flatten()[::16].tolist()]
            seen["logits"] = [round(x, 5) for x in seen["logits"].flatten()[::512].tolist()]
            result[f"{language}_looked_at"] = {"text": text, **seen}
    json.dump(result, sys.stdout, ensure_ascii=False, indent=0)
    print()


main()
