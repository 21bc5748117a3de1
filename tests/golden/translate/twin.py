"""A small PyTorch twin of the student translators, written from the facts of the format: what `exact` is compared with.

    python3 twin.py MODELS > twin.json          needs torch and sentencepiece

MODELS is a folder with enpt/ and pten/ as models/manifest.json describes them. Writes, for each direction, greedy
translations of sentences.json with the shortlist, and for the first sentence of each the encoder's states and the logits
of every step over the whole vocabulary. In f32 on the dequantised weights; marian.py has the arithmetic of bytes.
"""

import json
import math
import pathlib
import struct
import sys

import torch
from sentencepiece import SentencePieceProcessor

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
    def __init__(self, folder):
        name = folder.name
        self.w = read(folder / f"model.{name}.intgemm.alphas.bin")
        self.lex = folder / f"lex.50.50.{name}.s2t.bin"
        self.tokenizer = SentencePieceProcessor(model_file=str(folder / f"vocab.{name}.spm"))
        q, m = self.w["Wemb"]
        self.embedding = q.float() * torch.tensor(1 / m, dtype=torch.float32)
        # In f32, as Marian has it.
        step = torch.tensor(math.log(10000.0)) / (WIDTH // 2 - 1)
        frequencies = (torch.arange(WIDTH // 2) * -step).double().exp().float()
        angles = (torch.arange(1024)[:, None] * frequencies).double()
        self.positions = torch.cat([angles.sin(), angles.cos()], 1).float()

    def linear(self, x, name, bias=None, rows=None):
        q, m = self.w[name]
        b = self.w[bias] if bias else torch.zeros(q.shape[0])
        if rows is not None:
            q, b = q[rows], b[rows]
        return x @ (q.float() * torch.tensor(1 / m, dtype=torch.float32)).T + b

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
        return self.linear(x, "Wemb", "decoder_ff_logit_out_b", rows)[0]

    def ids(self, text):
        return self.tokenizer.encode(text) + [0]

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
    models = pathlib.Path(sys.argv[1])
    torch.set_num_threads(1)
    sentences = json.loads((pathlib.Path(__file__).parent / "sentences.json").read_text("utf-8"))
    result = {}
    for language, name in [("en", "enpt"), ("pt", "pten")]:
        student = Student(models / name)
        result[language] = [student.translate(text) for text in sentences[language]]
        text = "The bank is by the river." if language == "en" else "A margem está junto ao rio."
        seen = student.looked_at(text, student.tokenizer.encode(student.translate(text)))
        # Enough to tell: every 16th state, every 512th logit.
        seen["states"] = [round(x, 6) for x in seen["states"].flatten()[::16].tolist()]
        seen["logits"] = [round(x, 5) for x in seen["logits"].flatten()[::512].tolist()]
        result[f"{language}_looked_at"] = {"text": text, **seen}
    json.dump(result, sys.stdout, ensure_ascii=False, indent=0)
    print()


if __name__ == "__main__":
    main()
