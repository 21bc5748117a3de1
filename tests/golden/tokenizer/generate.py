#!/usr/bin/env python3
"""Writes smollm2.json: token ids and chat prompts of SmolLM2-135M-Instruct, by a second implementation.

    pip install gguf regex jinja2
    python3 generate.py PATH/TO/SmolLM2-135M-Instruct.Q4_1.gguf

Ids come from the byte-level BPE below, written from the definition (Sennrich et al. 2016; Radford et al. 2019) and
sharing no code with the `tokenizers` crate. Chat prompts come from Jinja2, set up as `apply_chat_template` of PyTorch
transformers sets it up.

The ids were compared with llama.cpp, in the build of npm @wllama/wllama 2.4.0 (single thread, headless Chromium, the
same GGUF, `tokenize(text, true)`): equal for every text but the first of MISSING_BYTES, where llama.cpp does not merge
across a byte that the vocabulary lacks. `tokenizers`, with which the model was trained, does, and so does this file.

Format: {"cases": [{"text", "ids"}], "chat": [{"messages", "add_generation_prompt", "text"}]}. Ids are without BOS and
EOS; special tokens written in a text become their ids.
"""

import json
import random
import sys
from functools import lru_cache
from pathlib import Path

import regex
from gguf import GGUFReader
from jinja2.exceptions import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

GPT2_PATTERN = regex.compile(
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
DIGIT = regex.compile(r"(\p{N})")
CONTROL = 3


def byte_characters():
    """The printable stand-in of each byte: itself where it is a visible Latin-1 character, else from U+0100 on."""
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    table, following = {}, 0x100
    for byte in range(256):
        if byte in visible:
            table[byte] = chr(byte)
        else:
            table[byte] = chr(following)
            following += 1
    return table


class Bpe:
    def __init__(self, tokens, merges, types):
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.ranks = {tuple(merge.split(" ")): rank for rank, merge in enumerate(merges)}
        self.bytes = byte_characters()
        special = sorted((t for t, kind in zip(tokens, types) if kind == CONTROL), key=len, reverse=True)
        self.special = regex.compile("(" + "|".join(map(regex.escape, special)) + ")")
        self.word = lru_cache(maxsize=None)(self._word)

    def _word(self, word):
        # A byte that the vocabulary lacks is dropped before merging, so the bytes beside it may merge.
        parts = [c for c in (self.bytes[b] for b in word.encode("utf-8")) if c in self.ids]
        while len(parts) > 1:
            ranked = [(self.ranks.get(pair, float("inf")), i) for i, pair in enumerate(zip(parts, parts[1:]))]
            rank, i = min(ranked)
            if rank == float("inf"):
                break
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return [self.ids[part] for part in parts]

    def encode(self, text):
        ids = []
        for i, segment in enumerate(self.special.split(text)):
            if i % 2 == 1:
                ids.append(self.ids[segment])
                continue
            for piece in DIGIT.split(segment):
                for word in GPT2_PATTERN.findall(piece):
                    ids.extend(self.word(word))
        return ids


PROSE = """\
The lighthouse keeper's daughter had never, in all her nineteen years, seen the lamp go dark. It turned through fog and
through August; it turned while her mother was dying, and it turned on the morning after, as if nothing in the world had
been put down. She knew the machinery as other girls know a piano: the brass weights that sank through the tower and had
to be wound up again every four hours, the mercury bath in which the great lens floated so lightly that a child's finger
could push its three tons, the eleven panes on the seaward side and the one, to landward, painted black.

"You'll want to leave, one day," her father said. He didn't say it unkindly. "They all do. Your aunt's written from
Lisbon; she's got a room over the bakery, and there's work, and I've told her you can cook—which is a lie, but she'll not
mind."

"And who'd wind the weights?"

"I've wound them since before you were born. I'm not so old as that." He was, though; she'd counted the steps he took on
the stairs and where he stopped to rest, and the number of the stops had grown from two to five since the spring.

That night the wind went round to the north-west and stayed there. By ten o'clock the barometer had fallen further than
either of them had seen it fall, and at half past eleven, between one turn of the lens and the next, the mechanism made a
sound like a dropped plate. The beam stopped. It lay on the water in a single white road, pointing at nothing, and beyond
it, where the road ran out, somebody began to ring a bell.
"""

WRITTEN = [
    "",
    " ",
    "a",
    "Hello, world!",
    "The quick brown fox jumps over the lazy dog.",
    "It's what they'd've said: we'll, I'm, you're, don't, o'clock, 'tis, DON'T, IT'S.",
    "A “quoted” word — an em-dash… and ‘single’ quotes; 50% off, $3.99, €4, £5, ¥600.",
    "naïve café façade coöperate Ærøskøbing Ångström Straße Łódź Dvořák ñandú",
    "Gravity\nEarth\tMoon\r\nSun\rMars",
    # Code
    'fn main() {\n    let xs: Vec<u32> = (0..10).map(|x| x * x).collect();\n    println!("{xs:?}");\n}\n',
    "def f(x):\n\treturn {'a': [x ** 2 for _ in range(10)], \"b\": None}\n\n\nclass A(B):\n    pass\n",
    "for (let i = 0; i < n; ++i) { a[i] += b?.[i] ?? 0; } // TODO: i18n\n",
    "SELECT COUNT(*) FROM users WHERE name LIKE '%O''Brien%' AND age >= 18;",
    '<div class="a b" data-x=\'1\'>&nbsp;&amp;</div><!-- comment -->',
    "https://example.org/a/b?c=d&e=%20f#g user.name+tag@example.co.uk C:\\Users\\x\\y.txt ~/.config/*",
    "#include <stdio.h>\nint main(void){return !printf(\"%5.2f\\n\", 3.14e-10);}",
    # Digits
    "0 1 12 123 1234 12345 1234567890",
    "3.14159265358979, -42, +7, 1e9, 0xDEADBEEF, 1_000_000, 2,147,483,647, 10%",
    "On 2024-02-29 at 23:59:60 call +44 (0)20 7946 0958; ISBN 978-3-16-148410-0",
    "room101 v2.0.1-rc3 a1b2c3 3D 4K 5th H2O",
    "½ ² ³ ① Ⅳ ٣٤٥ १२३ 一二三 ๑๒๓ 𝟘𝟙 ⁵₆",
    # White space
    "  two", "   three", "word  word   word    word",
    "trailing ", "trailing   ", "\n", "\n\n", "\n\n\n\n", "\t", "\t\t\tx", "    \n    \n  x",
    " \n \t \r\n ", "a\u00a0b\u2003c\u3000d\u2028e\u2029f\u0085g\u202fh", " " * 7, " " * 64, " " * 300 + "end",
    "\t" * 33, "line\r\n\r\nline\n\r", "x = 1  \n\ty =  2\n \n",
    # Emoji
    "😀", "I ❤️ 🦀 and 🐍!", "👨‍👩‍👧‍👦", "👩🏽‍🚀👍🏿👋🏻", "🇫🇷🇧🇷🇯🇵🏴󠁧󠁢󠁳󠁣󠁴󠁿", "1️⃣ #️⃣ ☎️ ☺︎", "🤷🏼‍♀️🧑‍🤝‍🧑🏳️‍🌈🏴‍☠️", "x😀y 😀 😀😀",
    # Scripts
    "你好，世界！今天天气怎么样？", "日本語のテキストと漢字カタカナﾊﾝｶｸ。", "안녕하세요 세계. 한글 자모 ㄱㄴㄷ", "𠮷野家 𪚥 龘",
    "مرحبا بالعالم، كيف حالك؟ السَّلامُ عَلَيْكُم", "שלום עולם! שָׁלוֹם", "नमस्ते दुनिया, क्षत्रिय हिन्दी", "สวัสดีชาวโลก ภาษาไทย กำลัง",
    "வணக்கம் உலகம்", "Привет, мир! Ёлка, щука, съешь", "Γειά σου Κόσμε, ἄνθρωπος", "გამარჯობა Հայերեն አማርኛ ខ្មែរ မြန်မာ བོད་",
    "Tiếng Việt: phở, nước mắm, Nguyễn", "İstanbul ıiIİ ğüşöç",
    # Combining marks
    "e\u0301 cafe\u0301 n\u0303 A\u030a o\u0308\u0304", "Z\u0351\u036b\u0343a\u0338\u0321l\u0334g\u0335\u0322o\u0336\u0321",
    "é vs e\u0301", "\u0301start", "a\u0301\u0302\u0303 \u0301b",
    # Odd Unicode
    "zero\u200bwidth\u200cnon\u200djoin\ufefferBOM", "\ufeffBOM first", "soft\u00adhyphen \u2060word joiner",
    "\u202eright-to-left override\u202c \u2066iso\u2069", "bell\x07 esc\x1b[31m nul\x00 del\x7f", "\x1c\x1d\x1e\x1f a \x0b\x0c b",
    "\ufffd \ufffe \uffff \U0010ffff \ue000", "ﬁ ﬂ Ⅷ ㎏ ａｂｃ １２３ ℌ ∑∫√∞ ≠ ≤ ⊂",
    "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝓼𝓬𝓻𝓲𝓹𝓽", "→ ⇒ ─│┌┐ ▁▂▃ ★☆ ♠♥ ◊",
    # Special tokens in the text
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "a<|endoftext|>b", "<|im_end|><|im_end|>", " <|im_start|> ",
    "<|im_start|", "|im_start|>", "<|im_<|im_end|>start|>", "<repo_name>x/y<file_sep>a.py\n<filename>b<gh_stars>100",
    "<jupyter_start><jupyter_text>md<jupyter_code>x=1<jupyter_output>1<empty_output>", "<|IM_START|> <reponame ><s></s>",
    "5<|im_end|>5 <|im_end|>\n",
    # Long words
    "a" * 500, "ab" * 400, "pneumonoultramicroscopicsilicovolcanoconiosis" * 8, "-" * 200, "=" * 77 + "\n" + "*" * 40,
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft", "你" * 100, "é" * 150, "9" * 100,
    "😀" * 40, "aB3" * 100, "'" * 30 + "s't're", "ĠĊ Ġ the Ã© âĢĵ <0xE2> ▁the ##ing",
    PROSE,
]

# SmolLM2's vocabulary lacks 21 bytes, six of them ASCII control characters.
MISSING_BYTES = ["!\x04! a\x06b \x13\x14 \x16 7\x1d7", "\x04", "\x14 ();\x16<|im_end|>", "a\x1d"]


def random_texts(count):
    """Short strings of fragments of every kind, so that kinds meet in ways nobody thought of."""
    draw = random.Random(20241)
    fragments = [
        " ", "  ", "\n", "\t", "\r\n", "\u00a0", "'s", "'LL", "'", "\"", "...", "--", "_", "7", "42", "²", "the", "The", "ing", "A",
        "é", "e\u0301", "ß", "你", "好", "の", "한", "م", "ि", "ก", "ำ", "👩", "\u200d", "🏽", "️", "🇩🇪", "\ufeff", "\x00", "\x01",
        "<|im_end|>", "<|", "|>", "{", "}", "();", "\\n", "$", "€", "Ω", "𝕏", "\U0001f9ff",
    ]
    return ["".join(draw.choice(fragments) for _ in range(draw.randint(2, 24))) for _ in range(count)]


CONVERSATIONS = [
    [("user", "What is gravity?")],
    [("user", "Hi"), ("assistant", "Hello! How can I help?"), ("user", "Write a haiku about Zürich 🏔️")],
    [("system", "You are a pirate."), ("user", "Where's the treasure?")],
    [("system", "  Spaces stay  "), ("user", " leading and trailing \n\n")],
    [("user", "")],
    [("user", "<b>&\"quotes\"'</b> {{ not }} {% a template %} \\n")],
    [("user", "你好"), ("assistant", "你好！")],
    [("assistant", "I speak first.")],
    [],
]


def compile_template(source):
    def raise_exception(message):
        raise TemplateError(message)

    def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(source)


def main():
    fields = {name: f.contents() for name, f in GGUFReader(sys.argv[1]).fields.items() if name.startswith("tokenizer.")}
    tokens = fields["tokenizer.ggml.tokens"]
    assert (fields["tokenizer.ggml.model"], fields["tokenizer.ggml.pre"]) == ("gpt2", "smollm")
    bpe = Bpe(tokens, fields["tokenizer.ggml.merges"], fields["tokenizer.ggml.token_type"])

    texts = WRITTEN + MISSING_BYTES + random_texts(150)
    texts.append("\n\n".join(WRITTEN))  # the 1,000+ token passage: every kind once, and where they meet
    cases = [{"text": text, "ids": bpe.encode(text)} for text in texts]
    assert len(cases[-1]["ids"]) > 1000

    template = compile_template(fields["tokenizer.chat_template"])
    special = {name: tokens[fields[f"tokenizer.ggml.{key}_token_id"]]
               for name, key in [("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding")]}
    chat = []
    for conversation in CONVERSATIONS:
        messages = [{"role": role, "content": content} for role, content in conversation]
        for prompt in (False, True):
            text = template.render(messages=messages, tools=None, documents=None, add_generation_prompt=prompt, **special)
            chat.append({"messages": messages, "add_generation_prompt": prompt, "text": text})

    golden = {"cases": cases, "chat": chat}
    path = Path(__file__).with_name("smollm2.json")
    lines = lambda rows: ",\n".join("  " + json.dumps(row, ensure_ascii=True) for row in rows)
    path.write_text('{"cases": [\n' + lines(cases) + '\n], "chat": [\n' + lines(chat) + "\n]}\n")
    assert json.loads(path.read_text()) == golden
    print(f"{path.name}: {len(cases)} texts, {sum(len(c['ids']) for c in cases)} ids, {len(chat)} chats")


if __name__ == "__main__":
    main()
