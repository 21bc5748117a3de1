"""Records the example that the Fill-mask tab shows until there is a live answer.

    cargo build --release -p glassformer-cli
    python3 web/assets/record_fill_mask.py path/to/glassformer

Writes recorded-fill-mask.json beside itself: what the engine really answered, nothing edited. Run it again when the default
model or the kernels change.
"""

import json
import pathlib
import subprocess
import sys

TEXT = "The [MASK] chased the mouse."
MODEL = ("--model", "minilm-l6-mlm", "--precision", "exact")


def shell(*arguments):
    return json.loads(subprocess.run([sys.argv[1], *arguments, *MODEL], check=True, capture_output=True).stdout)


info = shell("inspect", "--json")["model"]
recording = {
    "model": f"{info['name']} {info['encoding']}",
    "on": f"{info['backend'].upper()}, {info['precision']}",
    "result": shell("fill-mask", "--text", TEXT, "--top", "8", "--as-page"),
}
target = pathlib.Path(__file__).with_name("recorded-fill-mask.json")
target.write_text(json.dumps(recording, ensure_ascii=False, separators=(",", ":")) + "\n")
