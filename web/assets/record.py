"""Records the example that the Generate tab shows until there is a live run.

    cargo build --release -p glassformer-cli
    python3 web/assets/record.py path/to/glassformer

Writes recorded-generate.json beside itself: what the shell really wrote, nothing edited. Run it again when the default
model, the default settings or the kernels change.
"""

import json
import pathlib
import subprocess
import sys

PROMPT = "Why is the sky blue?"
SETTINGS = {"temperature": 0.7, "topP": 0.9, "seed": 1, "maxTokens": 96}
PRECISION = "fast"


def shell(*arguments):
    command = [sys.argv[1], *arguments, "--precision", PRECISION, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


info = shell("inspect")["model"]
run = shell(
    *("generate", "--chat", "--prompt", PROMPT),
    *("--temperature", str(SETTINGS["temperature"]), "--top-p", str(SETTINGS["topP"])),
    *("--seed", str(SETTINGS["seed"]), "--max-tokens", str(SETTINGS["maxTokens"])),
)
recording = {
    "model": f"{info['name']} {info['encoding']}",
    "on": f"{info['backend'].upper()}, {info['precision']}",
    "settings": SETTINGS,
    "prompt": PROMPT,
    "tokens": run["tokens"],
}
target = pathlib.Path(__file__).with_name("recorded-generate.json")
target.write_text(json.dumps(recording, ensure_ascii=False, indent=None) + "\n")
