"""Records the example that the Match tab shows until there are live scores.

    cargo build --release -p glassformer-cli
    python3 web/assets/record_match.py path/to/glassformer

Writes recorded-match.json beside itself: what the engine really computed for the samples, nothing edited. Run it again when
the default model, the samples or the kernels change.
"""

import json
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PICTURES = ["dog", "cat", "sailboat", "bicycle", "guitar", "coffee", "mushroom", "rocket"]
TEXTS = ["dog", "cat", "sailboat", "bicycle", "guitar", "hot drink", "mushroom", "rocket"]
MODEL = ("--model", *(sys.argv[2:] or ["mini-clip"]), "--precision", "exact", "--json")


def shell(*arguments):
    return json.loads(subprocess.run([sys.argv[1], *arguments, *MODEL], check=True, capture_output=True).stdout)


info = shell("inspect")["model"]
images = [str(HERE / "samples" / f"{name}.png") for name in PICTURES]
found = shell("match", "--image", *images, "--text", *TEXTS)
recording = {
    "model": f"{info['name']} {info['encoding']}",
    "on": f"{info['backend'].upper()}, {info['precision']}",
    "pictures": PICTURES,
    "texts": TEXTS,
    "scores": found["scores"],
    "scale": found["scale"],
}
(HERE / "recorded-match.json").write_text(json.dumps(recording, ensure_ascii=False, separators=(",", ":")) + "\n")
