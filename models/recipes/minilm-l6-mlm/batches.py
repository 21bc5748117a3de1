"""Training batches: one passage per sequence, sequences of about the same length together, [MASK] at every target.

Everything follows from the seed and the number of the round, so a resumed run sees what an unbroken one would have seen.
"""

from dataclasses import dataclass

import numpy as np

# Share of the training pieces that each source gives.
SHARES = {"wordnet": 0.30, "wordnet-more": 0.11, "wiki": 0.22, "wiki-articles": 0.09, "gcide": 0.14, "gcide-prose": 0.02,
          "facts": 0.04, "statements": 0.04, "novels": 0.04}
ROUND = 1_000_000  # pieces of one round
BATCH = 1536  # places of one batch, padding included
RATES = (0.12, 0.28)  # each passage draws the share of its pieces that are masked from this range
WHOLE_WORDS = 0.2  # share of the passages whose words are masked whole


@dataclass
class Batch:
    """`ids` [batch, seq] with the masks in, `lengths` [batch], the masked places (`rows`, `columns`) and their `targets`."""

    ids: np.ndarray
    lengths: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class Special:
    """Ids of the special pieces."""

    pad: int
    cls: int
    sep: int
    mask: int


def special(tokenizer) -> Special:
    """The special pieces of a BERT vocabulary."""
    return Special(*(tokenizer.token_to_id(name) for name in ("[PAD]", "[CLS]", "[SEP]", "[MASK]")))


class Corpus:
    """The tokenised sources of `data.npz`."""

    def __init__(self, path, marks: Special, seed: int):
        arrays = np.load(path)
        self.sources = {name: {key: arrays[f"{name}/{key}"] for key in ("ids", "starts", "begins")} for name in SHARES}
        self.marks, self.seed = marks, seed

    def round(self, number: int) -> list:
        """The batches of a round, as lists of (source, passage), in a random order."""
        chosen = []
        for order, (name, share) in enumerate(SHARES.items()):
            source = self.sources[name]
            count = len(source["starts"]) - 1
            take = int(round(share * ROUND * count / len(source["ids"])))
            # Passages number*take … of an endless row of shuffled epochs.
            for epoch in range(number * take // count, ((number + 1) * take - 1) // count + 1):
                shuffled = np.random.default_rng((self.seed, order, epoch)).permutation(count)
                low, high = max(number * take, epoch * count), min((number + 1) * take, (epoch + 1) * count)
                chosen += [(name, int(i)) for i in shuffled[low - epoch * count:high - epoch * count]]
        random = np.random.default_rng((self.seed, 1000, number))
        lengths = np.array([self.length(*c) for c in chosen])
        mixed = random.permutation(len(chosen))
        batches, current = [], []
        for i in mixed[np.argsort(lengths[mixed], kind="stable")]:  # shortest first, so the newest is the longest
            if current and (len(current) + 1) * lengths[i] > BATCH:
                batches.append(current)
                current = []
            current.append(chosen[i])
        if current:
            batches.append(current)
        return [batches[i] for i in random.permutation(len(batches))]

    def length(self, name: str, index: int) -> int:
        """Pieces of a passage with [CLS] and [SEP]."""
        starts = self.sources[name]["starts"]
        return int(starts[index + 1] - starts[index]) + 2

    def batch(self, chosen: list, number: int, index: int) -> Batch:
        """The passages `chosen`, masked; `number` and `index` (of the batch in its round) choose the masks."""
        random = np.random.default_rng((self.seed, 2000, number, index))
        lengths = np.array([self.length(*c) for c in chosen])
        shape = (len(chosen), int(lengths.max()))
        ids = np.full(shape, self.marks.pad, np.int64)
        words = np.zeros(shape, np.int64)  # number of the word that a piece belongs to
        for row, (name, passage) in enumerate(chosen):
            source, length = self.sources[name], lengths[row]
            span = slice(source["starts"][passage], source["starts"][passage + 1])
            ids[row, 0], ids[row, length - 1] = self.marks.cls, self.marks.sep
            ids[row, 1:length - 1] = source["ids"][span]
            words[row, 1:length - 1] = np.cumsum(source["begins"][span])
        places = np.arange(shape[1])[None, :]
        content = (places > 0) & (places < lengths[:, None] - 1)
        draw = random.random(shape)
        whole = random.random(len(chosen)) < WHOLE_WORDS
        draw[whole] = np.take_along_axis(draw[whole], words[whole], axis=1)  # one draw for all pieces of a word
        masked = content & (draw < random.uniform(*RATES, (len(chosen), 1)))
        empty = np.flatnonzero(~masked.any(axis=1))
        masked[empty, 1 + (random.random(len(empty)) * (lengths[empty] - 2)).astype(np.int64)] = True
        rows, columns = np.nonzero(masked)
        targets = ids[rows, columns]
        ids[rows, columns] = self.marks.mask
        return Batch(ids, lengths, rows, columns, targets)
