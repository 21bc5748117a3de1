"""Records the example that the Translate tab shows until there is a live translation.

    cargo build --release -p glassformer-cli
    python3 web/assets/record_translate.py path/to/glassformer

Writes recorded-translate.json beside itself: what the engine really answered, nothing edited but digits beyond the
eighth. Run it again when the default model, the search or the kernels change.
"""

import json
import pathlib
import subprocess
import sys

TEXT = "The bank is by the river."
BEAMS = "4"


def shell(*arguments):
    return json.loads(subprocess.run([sys.argv[1], *arguments], check=True, capture_output=True).stdout)


def shortened(value):
    if isinstance(value, float):
        return float(f"{value:.8g}")
    if isinstance(value, list):
        return [shortened(each) for each in value]
    if isinstance(value, dict):
        return {key: shortened(each) for key, each in value.items()}
    return value


info = shell("inspect", "--model", "enpt", "--precision", "exact", "--json")["model"]
answer = shell("translate", "--precision", "exact", "--beams", BEAMS, "--best", BEAMS, "--as-page", "--text", TEXT)
(sentence,) = answer["sentences"]
recording = {
    "model": info["name"],
    "on": f"{info['backend'].upper()}, {info['precision']}, {BEAMS} beams",
    "sentence": shortened(sentence),
}
target = pathlib.Path(__file__).with_name("recorded-translate.json")
target.write_text(json.dumps(recording, ensure_ascii=False, separators=(",", ":")) + "\n")
print(f"{target.name}: {sentence['alternatives'][0]['target']}, {target.stat().st_size} bytes")
