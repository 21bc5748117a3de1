"""The pictures of every source, as RGBA images with their words. One generator per source."""

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import resvg_py
from PIL import Image

from concepts import Concept, bare

TRAINING_SETS = ("noto", "noto-v1", "twemoji", "fluent-emoji-flat", "emojione", "fxemoji", "streamline-emojis")
STYLE_TEST = "openmoji"
Image.MAX_IMAGE_PIXELS = None  # a few clips are huge; they are left out by size below
RENDERED = 160  # side SVGs are drawn at, pixels


@dataclass
class Picture:
    """`label` is the first word or phrase for it, `tags` the others; `concept` its index or -1."""

    source: str
    key: str
    image: Image.Image
    label: str
    tags: list[str]
    concept: int = -1


def draw(icons: dict, name: str) -> Image.Image:
    """An Iconify entry drawn by resvg on nothing."""
    icon = icons["icons"][name]
    left, top = icon.get("left", icons.get("left", 0)), icon.get("top", icons.get("top", 0))
    width = icon.get("width", icons.get("width", 16))
    height = icon.get("height", icons.get("height", 16))
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{left} {top} {width} {height}" width="{RENDERED}" height="{RENDERED}">{icon["body"]}</svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=svg, width=RENDERED, height=RENDERED, skip_system_fonts=True)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def icon_names(folder: Path, icons: dict, concept: Concept) -> list[str]:
    """The set's names for a concept: by code where the set lists codes, else by name, plain, squashed or numbered."""
    listed = folder / "chars.json"
    chars = {bare(code): name for code, name in json.loads(listed.read_text()).items()} if listed.exists() else {}
    if chars:
        found = [chars[code] for code in concept.codes if code in chars]
    else:
        aliases = {name: entry["parent"] for name, entry in icons.get("aliases", {}).items()}
        known = icons["icons"]
        squashed = {name.replace("-", ""): name for name in known}
        found = []
        for wanted in sorted(concept.slugs):
            numbered = [name for name in (f"{wanted}-{n}" for n in range(1, 9)) if name in known]
            one = wanted if wanted in known else aliases.get(wanted) or squashed.get(wanted.replace("-", ""))
            found += numbered + ([one] if one else [])
    return sorted({name for name in found if name in icons["icons"]})


def emoji_set(modules: Path, name: str, concepts: list[Concept]):
    """One Iconify set's pictures of the concepts."""
    folder = modules / "@iconify-json" / name
    icons = json.loads((folder / "icons.json").read_text())
    for index, concept in enumerate(concepts):
        for icon in icon_names(folder, icons, concept):
            yield Picture(name, icon, draw(icons, icon), concept.name, concept.tags, index)


def fluent_3d(modules: Path, concepts: list[Concept]):
    """The shaded Fluent set, raster."""
    files = {bare(path.stem): path for path in (modules / "@lobehub/fluent-emoji-3d/assets").glob("*.webp")}
    for index, concept in enumerate(concepts):
        for code in concept.codes:
            if code in files:
                image = Image.open(files[code]).convert("RGBA")
                yield Picture("fluent-3d", code, image, concept.name, concept.tags, index)


FOLDER_WORDS = {"dishes": "dish", "christmas": "christmas", "clothes": "clothes", "mass_transit": "public transport"}
VAGUE = {"cartoon", "seasonal", "household", "military", "hobbies", "unsorted", "office", "symbols", "space", "arttools", "naturalforces", "newyears"}


def singular(word: str) -> str:
    """A plural as one thing."""
    for end, instead in (("ies", "y"), ("sses", "ss"), ("oes", "o"), ("s", "")):
        if word.endswith(end) and not word.endswith("ss") and len(word) > 3:
            return word[: -len(end)] + instead
    return word


def folder_words(inside: str) -> list[str]:
    """The kind of thing a folder names, or nothing."""
    folder = inside.split("/")[-2]
    return [] if folder in VAGUE else [FOLDER_WORDS.get(folder, singular(folder.replace("_", " ")))]


STAMP_FOLDERS_OUT = ("symbols", "people", "town/flags", "town/roadsigns", "clothes/button", "seasonal/hanukkah")


def stamp_words(text: str) -> str:
    """`A leopard. It is …` → `leopard`."""
    first = re.split(r"[.!?](?:\s|$)|—| \(|[;:]", text.strip())[0].strip(" .!“”\"'")
    first = re.sub(r"^(an?|the|some|this is an?|this is)\s+", "", first, flags=re.I)
    return re.sub(r"\s+", " ", first.replace("“", "").replace("”", "")).lower()


def stamps(share: Path):
    """Tux Paint's stamps in sorted order, mostly photographs cut out."""
    root = share / "tuxpaint" / "stamps"
    for path in sorted(root.rglob("*.png")):
        inside = path.relative_to(root).as_posix()
        text = path.with_suffix(".txt")
        if inside.startswith(STAMP_FOLDERS_OUT) or path.stem.endswith("_mirror") or not text.exists():
            continue
        words = stamp_words(text.read_text(encoding="utf-8", errors="replace").splitlines()[0])
        if words:
            yield Picture("tuxpaint", inside, Image.open(path).convert("RGBA"), words, folder_words(inside))


# Folders of things; the others hold buttons, arrows, flags, gradients and people.
CLIP_FOLDERS = re.compile(
    r"(animals|buildings|containers|education|electronics|food|office|plants|science|tools|unsorted|geography/astronomy|computer/hardware"
    r"|people/(bodypart|clothing)|recreation/(games|holiday|music|party|sports|toys)|signs_and_symbols/weather|transportation/(boating|vehicles))/"
    r"|(transportation|computer)/[^/]+$"
)
QUALITIES = set("simple white black old big small red green blue yellow brown pink gold large new open closed flat fancy two left right back".split())
MOST_PIXELS = 40_000_000


def clip_words(stem: str, vocabulary: set[str]) -> str | None:
    """The longest known word or phrase a file's name begins with; after it come the artist or a number."""
    parts = [part for part in re.split(r"[^a-z]+", stem.lower()) if part]
    while parts and parts[0] in QUALITIES:
        parts = parts[1:]
    starts = (" ".join(parts[:count]) for count in (3, 2, 1))
    known = (word for start in starts for word in (start, singular(start)) if len(word) > 2 and word in vocabulary)
    return next(known, None)


def clip_art(share: Path, vocabulary: set[str]):
    """Open Clip Art whose file name begins with known words."""
    root = share / "openclipart" / "png"
    for path in sorted(root.rglob("*.png")):
        inside = path.relative_to(root).as_posix()
        label = clip_words(path.stem, vocabulary)
        if not label or not CLIP_FOLDERS.match(inside):
            continue
        image = Image.open(path)
        if image.width * image.height <= MOST_PIXELS:
            yield Picture("openclipart", inside, image.convert("RGBA"), label, folder_words(inside))


def phrase_pattern(phrases: list[str]) -> re.Pattern:
    """Matches any of the phrases as whole words."""
    return re.compile(r"\b(" + "|".join(re.escape(phrase) for phrase in phrases) + r")(s|es)?\b", re.I)

