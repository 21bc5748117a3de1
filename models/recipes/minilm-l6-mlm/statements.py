"""Short statements of fact in plain sentences, made from WordNet's relations and the Factbook's capitals."""

from wordnet import sentence

ANTONYM = ["the opposite of {a} is {b}", "{a} is the opposite of {b}", "{a} and {b} are opposites",
           "something that is {a} is not {b}"]
KIND = ["a {a} is a kind of {b}", "a {a} is a type of {b}"]
INSTANCE = ["{a} is a {b}"]
PART = ["a {b} has a {a}", "the {a} is part of the {b}"]
SUBSTANCE = ["{b} is made of {a}", "{a} is found in {b}"]
MEMBER = ["a {a} is a member of the {b}"]
SYNONYM = ["{a} means the same as {b}", "another word for {a} is {b}"]
CAPITAL = ["the capital of {b} is {a}", "{a} is the capital of {b}", "{a} is the capital city of {b}",
           "{a}, the capital of {b}", "the government of {b} sits in {a}", "{a} is a city in {b}",
           "people in {b} look to {a}, their capital"]
BY_SYMBOL = {"@": KIND, "@i": INSTANCE, "%p": PART, "%s": SUBSTANCE, "%m": MEMBER}


def from_wordnet(synsets: dict, held_out: set, is_common) -> list:
    """Statements between words for which `is_common` holds (one piece of the vocabulary: everyday words).

    Synsets in `held_out` (keys of validation passages) give none, on either side of a relation.
    """
    found = []
    for key, synset in synsets.items():
        if key in held_out:
            continue
        words = [w.lower() for w in synset.words if is_common(w.lower())]
        for first in words[:1]:
            found += fill(SYNONYM, [(first, other) for other in words[1:3]])
        for symbol, target, source_word, target_word in synset.relations:
            if target not in synsets or target in held_out:
                continue
            other = synsets[target]
            if symbol == "!" and source_word:
                found += fill(ANTONYM, common_pairs([synset.words[source_word - 1]], [other.words[target_word - 1]], is_common))
            elif symbol.startswith("%"):  # the pointer goes from the whole to the part
                found += fill(BY_SYMBOL[symbol], common_pairs(other.words[:2], synset.words[:1], is_common))
            elif symbol in BY_SYMBOL and key[0] == "n":
                found += fill(BY_SYMBOL[symbol], common_pairs(synset.words[:2], other.words[:1], is_common))
    return found


def common_pairs(ones, others, is_common):
    """All pairs of the two lists whose words are both common."""
    return [(a.lower(), b.lower()) for a in ones for b in others if is_common(a.lower()) and is_common(b.lower())]


def fill(templates, pairs):
    """Every pair in every template."""
    return [sentence(t.format(a=a, b=b)) for a, b in pairs for t in templates]


def from_capitals(capitals) -> list:
    """Statements for (country, capital) pairs."""
    return fill(CAPITAL, [(capital, country) for country, capital in capitals])
