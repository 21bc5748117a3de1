"""WordNet 3.0 as sentences: one passage per synset, and short statements from its relations."""

import re
from dataclasses import dataclass, field
from pathlib import Path

FILES = {"n": "data.noun", "v": "data.verb", "a": "data.adj", "r": "data.adv"}


@dataclass
class Synset:
    """One line of a data file: `key` is (part of speech, offset); `relations` holds (symbol, key, source, target)."""

    key: tuple
    words: list
    gloss: str
    examples: list = field(default_factory=list)
    relations: list = field(default_factory=list)


def read(folder: Path) -> dict:
    """All synsets of the four data files, by key."""
    synsets = {}
    for part, name in FILES.items():
        for line in open(folder / name, encoding="utf-8"):
            if line.startswith("  "):  # the licence at the top of each file
                continue
            synset = parse(part, line)
            synsets[synset.key] = synset
    return synsets


def parse(part: str, line: str) -> Synset:
    """A data line: offset, file, type, word count (hex), words, pointer count, pointers, `| gloss`."""
    head, _, gloss = line.partition("|")
    fields = head.split()
    count = int(fields[3], 16)
    words = [re.sub(r"\((a|p|ip)\)$", "", fields[4 + 2 * i]).replace("_", " ") for i in range(count)]
    at = 4 + 2 * count
    relations = []
    for i in range(int(fields[at])):
        symbol, offset, other, ends = fields[at + 1 + 4 * i: at + 5 + 4 * i]
        relations.append((symbol, (other.replace("s", "a"), offset), int(ends[:2], 16), int(ends[2:], 16)))
    definition, examples = split_gloss(gloss.strip())
    return Synset((part, fields[0]), words, definition, examples, relations)


def split_gloss(gloss: str):
    """The definition, and the quoted examples that follow it."""
    examples = [e.strip() for e in re.findall(r'"([^"]+)"', gloss)]
    start = gloss.find('"')
    definition = gloss if start < 0 else gloss[:start]
    return definition.strip().rstrip(";:, ").strip(), examples


def sentence(text: str) -> str:
    """Capital first, a full stop last."""
    text = text.strip().rstrip(";, ")
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def definition(synset: Synset, word: str, article: str) -> str:
    """`A cat is feline mammal ….`, `To back means to support ….`, `Along means in line with ….`"""
    if synset.key[0] == "n":
        start = f"{article} {word} is" if article else f"{word} is"
    elif synset.key[0] == "v":
        start = f"To {word} means to"
    else:
        start = f"{word} means"
    return sentence(f"{start} {synset.gloss}")


def passage(synset: Synset) -> str:
    """The form of the first recipe and of validation.txt: first word, article `A`, definition, examples."""
    return " ".join([definition(synset, synset.words[0], "A")] + [sentence(e) for e in synset.examples])
