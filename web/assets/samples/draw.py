"""Draws the pictures that the Match tab ships.

    python3 web/assets/samples/draw.py path/to/node_modules

The folder is that of `models/recipes/mini-clip/download.py`, and the packages are those of that recipe's requirements.
"""

import json
import sys
from pathlib import Path

import resvg_py

HERE = Path(__file__).resolve().parent
SIDE = 192
NAMES = ["dog-face", "cat-face", "sailboat", "bicycle", "guitar", "hot-beverage", "mushroom", "rocket"]

icons = json.loads((Path(sys.argv[1]) / "@iconify-json/openmoji/icons.json").read_text())
for name in NAMES:
    icon = icons["icons"][name]
    width, height = icon.get("width", icons.get("width", 16)), icon.get("height", icons.get("height", 16))
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{SIDE}" height="{SIDE}">{icon["body"]}</svg>'
    )
    picture = resvg_py.svg_to_bytes(svg_string=svg, width=SIDE, height=SIDE, background="white", skip_system_fonts=True)
    short = {"dog-face": "dog", "cat-face": "cat", "hot-beverage": "coffee"}.get(name, name)
    (HERE / f"{short}.png").write_bytes(bytes(picture))
