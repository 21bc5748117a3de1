"""Data preparation: fetches the packages, turns them into passages, drops what touches the validation set, tokenises.

    python prepare.py

Writes `data.npz` into the work folder: for every source its pieces (uint16), the start of each passage, and which
pieces begin a word. Also `passages/NAME.txt`, the same as text, one passage a line, for reading.
"""

import argparse
import re

import numpy as np
from tokenizers import Tokenizer

import readers
import sources
import start
import statements
import wordnet
from common import VALIDATION, add_folders, read_probes, replace_file

LONGEST = 190  # pieces of one passage, [CLS] and [SEP] not counted; longer ones are cut between sentences
SHINGLE = 8  # words in a row that a training passage may not share with a validation passage


def words_of(text: str) -> tuple:
    """Lower-case words without punctuation: what two texts are compared by."""
    return tuple(re.findall(r"[^\W_]+", text.lower()))


class HeldOut:
    """The validation passages and the probe sentences, and whether a text repeats a piece of them."""

    def __init__(self, validation: list, probes: list):
        self.whole = {words_of(text) for text in validation}
        self.runs = {}  # length in words -> runs of that length
        for text in validation:
            self.add(words_of(text), shortest=SHINGLE)
            for part in re.split(r"[.;:(] |\bis\b|\bmeans(?: to)?\b", text):  # definitions and examples of four words and more
                self.add(words_of(part), shortest=4)
        for probe in probes:
            for answer in probe["expected"]:
                run = words_of(probe["text"].replace("[MASK]", answer))
                self.runs.setdefault(len(run), set()).add(run)

    def add(self, words: tuple, shortest: int) -> None:
        """Forbids every run of SHINGLE words, or all of a shorter text."""
        if len(words) >= shortest:
            length = min(len(words), SHINGLE)
            runs = self.runs.setdefault(length, set())
            runs.update(words[i:i + length] for i in range(len(words) - length + 1))

    def touches(self, text: str) -> bool:
        """Whether `text` has a run of words that it may not have."""
        words = words_of(text)
        return any(words[i:i + length] in runs for length, runs in self.runs.items() for i in range(len(words) - length + 1))


def gather(files: dict, held_out: HeldOut, is_common) -> dict:
    """All passages by source, before the comparison with the validation set."""
    synsets = wordnet.read(next(files["wordnet"].rglob("data.noun")).parent)
    kept_back = {key for key, s in synsets.items() if words_of(wordnet.passage(s)) in held_out.whole}
    print(f"{len(kept_back)} of {len(synsets)} synsets are validation passages")
    synsets_used = {key: s for key, s in synsets.items() if key not in kept_back}
    more = []
    for synset in synsets_used.values():
        article = "An" if synset.words[-1][:1] in "aeiou" else "A"
        article = "" if synset.words[-1][:1].isupper() else article
        more += [wordnet.definition(synset, word, article) for word in synset.words[1:]]
        more += [wordnet.sentence(example) for example in synset.examples if len(example.split()) >= 4]
    dictionary = readers.gcide(files["gcide"])
    facts, capitals = readers.factbook(files["factbook"])
    return {
        "wordnet": [wordnet.passage(s) for s in synsets_used.values()],
        "wordnet-more": more,
        "wiki": readers.wiki_summaries(files["wiki"]),
        "wiki-articles": readers.wiki_articles(files["gensim"]),
        "gcide": dictionary["definitions"],
        "gcide-prose": dictionary["prose"],
        "novels": readers.novels(files["novels"]),
        "facts": facts + readers.elements(files["elements"]),
        "statements": statements.from_wordnet(synsets, kept_back, is_common) + statements.from_capitals(capitals),
    }


def cut(passage: str, tokenizer: Tokenizer):
    """The passage, or, where it is too long, its sentences gathered up to LONGEST pieces."""
    if len(passage) < 2 * LONGEST:  # no piece is shorter than a character and few are that short
        return [passage]
    parts, size = [[]], 0
    for part in re.split(r"(?<=[.!?;]) +(?=\S)", passage):
        length = len(tokenizer.encode(part, add_special_tokens=False).ids)
        if size + length > LONGEST and parts[-1]:
            parts.append([])
            size = 0
        parts[-1].append(part)
        size += length
    return [" ".join(part) for part in parts]


def tokenise(passages: list, tokenizer: Tokenizer, begins: np.ndarray) -> dict:
    """Pieces of all passages in a row (uint16), starts (n + 1), and where a word begins."""
    encoded = tokenizer.encode_batch(passages, add_special_tokens=False)
    lists = [e.ids[:LONGEST] for e in encoded if len(e.ids) >= 4]
    ids = np.concatenate([np.asarray(x, np.uint16) for x in lists])
    starts = np.concatenate([[0], np.cumsum([len(x) for x in lists])]).astype(np.int64)
    return {"ids": ids, "starts": starts, "begins": begins[ids]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folders(parser)
    options = parser.parse_args()
    if not (options.start / "model.safetensors").exists():
        print(f"{options.start} holds no model; it gets the encoder of all-MiniLM-L6-v2 with a fresh head")
        start.make(sources.fetch_one(sources.ENCODER, options.work / "sources"), options.start)
    tokenizer = Tokenizer.from_file(str(options.start / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    vocabulary = tokenizer.get_vocab()
    begins = np.ones(len(vocabulary), bool)
    begins[[i for piece, i in vocabulary.items() if piece.startswith("##")]] = False

    validation = VALIDATION.read_text(encoding="utf-8").splitlines()
    held_out = HeldOut(validation, read_probes())
    sets = gather(sources.fetch(options.work / "sources"), held_out, vocabulary.__contains__)
    arrays, total = {}, 0
    for name, passages in sets.items():
        unique = list(dict.fromkeys(p for p in passages if p))
        clean = [p for p in unique if not held_out.touches(p)]
        parts = [part for passage in clean for part in cut(passage, tokenizer)]
        tokens = tokenise(parts, tokenizer, begins)
        arrays.update({f"{name}/{key}": value for key, value in tokens.items()})
        total += len(tokens["ids"])
        print(f"{name}: {len(unique)} passages, {len(unique) - len(clean)} dropped for what they share with the "
              f"validation set, {len(tokens['starts']) - 1} kept with {len(tokens['ids'])} pieces", flush=True)
        replace_file(options.work / "passages" / f"{name}.txt",
                     lambda path: path.write_text("\n".join(parts) + "\n", encoding="utf-8"))
    replace_file(options.work / "data.npz", lambda path: np.savez(open(path, "wb"), **arrays))
    print(f"{total} pieces in all")


if __name__ == "__main__":
    main()
