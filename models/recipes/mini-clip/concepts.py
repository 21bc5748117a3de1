"""The concepts: about 900 distinct things an emoji set draws, and the words for each."""

import json
import re
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

GROUPS = {"animals-nature", "food-drink", "travel-places", "activities", "objects"}
SUBGROUPS_OUT = {"time", "hotel"}
SUBGROUPS_IN = {"body-parts", "face-costume"}
KEPT_TIME = {"hourglass done", "watch", "alarm clock", "mantelpiece clock"}
# Near-duplicates of a concept that stays, scenes without a subject, and flat signs.
OUT = re.compile(
    r"guide dog|service dog|black cat|phoenix|face with|moon face|sun with face|quarter moon|gibbous|new moon"
    r"|globe with|globe showing (europe|asia)|map of japan|night with stars|sunset|cityscape|bridge at night|dashing away"
    r"|non-potable|bell with slash|muted|speaker (low|medium)|mobile phone with|video ?camera|camera with flash"
    r"|notebook with|closed book|(green|blue|orange) book|bookmark tabs|card index dividers|tear-off|spiral calendar"
    r"|open file folder|page (facing|with)|e-mail|incoming envelope|envelope with|outbox|inbox|mailbox with|open mailbox|closed mailbox"
    r"|(yen|euro|pound) banknote|chart (increasing|decreasing)|locked with|unlocked|black nib|flower playing"
    r"|suit$|white flower|japanese symbol|cherries blossom|umbrella on ground|umbrella with|cloud with|sun behind"
    r"|angry face|alien monster|oncoming|light rail|high-speed"
    r"|mountain railway|departure|arrival|mechanical (arm|leg)|ear with|mouth$|customs|passport control|left luggage"
    r"|input|(red|new year|bright) button|dim|identification"
    r"|wrapped flower|biting lip|tanabata"
)
SPOKEN = {"rat face": "rat", "ox": "ox", "sun": "sun", "hourglass done": "hourglass"}


@dataclass
class Concept:
    """One class: its name, other words for it, the codes of its emoji, and the names sets may file it under."""

    name: str
    tags: list[str]
    codes: list[str] = field(default_factory=list)
    slugs: set[str] = field(default_factory=set)


def bare(code: str) -> str:
    """A code such as `1F41E` or `2600-fe0f` without its variation selector, lower case."""
    return "-".join(part for part in code.lower().split("-") if part != "fe0f")


def slug(name: str) -> str:
    """`Four-leaf clover’s` → `four-leaf-clovers`."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower().replace("’", "").replace("'", "")).strip("-")


def spoken(label: str, subgroup: str) -> str:
    """The label as a person would say it: an animal's face is called by the animal's name."""
    if subgroup.startswith("animal") and label.endswith(" face"):
        label = label[: -len(" face")]
    return SPOKEN.get(label, label.replace("’", "'"))


def load(modules: Path) -> list[Concept]:
    """The concepts in emoji order; emoji of one spoken name are one concept."""
    data = json.loads((modules / "emojibase-data/en/data.json").read_text())
    groups = json.loads((modules / "emojibase-data/meta/groups.json").read_text())
    named: dict[str, Concept] = {}
    for emoji in data:
        group = groups["groups"].get(str(emoji.get("group")))
        subgroup = groups["subgroups"].get(str(emoji.get("subgroup")), "")
        wanted = (group in GROUPS and (subgroup not in SUBGROUPS_OUT or emoji["label"] in KEPT_TIME)) or subgroup in SUBGROUPS_IN
        if not wanted or OUT.search(emoji["label"].lower()):
            continue
        name = spoken(emoji["label"].lower(), subgroup)
        tags = [tag for tag in emoji.get("tags", []) if len(tag) > 2 and tag.isascii() and tag != name]
        concept = named.setdefault(name, Concept(name, tags))
        concept.codes.append(bare(emoji["hexcode"]))
        concept.slugs |= {slug(emoji["label"]), slug(name)}
        first = bare(emoji["hexcode"]).split("-")[0]
        if "-" not in bare(emoji["hexcode"]):
            concept.slugs.add(slug(unicodedata.name(chr(int(first, 16)), name)))
    return list(named.values())
