"""Records the example that the Attention tab shows before its first run, from the shell's own numbers:

    glassformer attention --text "…" --precision exact --json | python web/assets/record_attention.py

Writes `recorded-attention.json` beside this script: the averages of all heads, their maps as two hexadecimal digits a
weight (row by row; of a causal model the lower triangle), and in full the head that the tab chooses by itself.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent


def pointed(stats):
    """As `pointed` in `web/src/tabs/attention.rs`: how much a head points, and not at the first token."""
    elsewhere = 1 - stats["first"] - stats["own"] - stats["special"]
    return elsewhere * (1 - stats["evenness"]) * stats["distance"] / (1 + stats["distance"])


def main():
    run = json.load(sys.stdin)
    count, heads = run["shape"]["heads"], run["heads"]
    best = max(range(len(heads)), key=lambda i: pointed(heads[i]))
    layer, head = divmod(best, count)
    causal = run["shape"]["causal"]
    seen = lambda i, row: row[: i + 1] if causal else row
    thumbnails = [
        "".join(f"{round(weight * 255):02x}" for i, row in enumerate(rows) for weight in seen(i, row))
        for layer_maps in run["weights"]
        for rows in layer_maps
    ]
    significant = lambda x: float(f"{x:.7g}")
    recording = {
        "model": f"{run['model']['name']} {run['model']['encoding']}",
        "on": f"{run['model']['backend'].upper()}, {run['model']['precision']}",
        "tokens": run["tokens"],
        "ids": run["ids"],
        "special": run["special"],
        "shape": run["shape"],
        "heads": [{k: significant(v) if isinstance(v, float) else v for k, v in stats.items()} for stats in heads],
        "thumbnails": thumbnails,
        "maps": [
            {
                "layer": layer,
                "head": head,
                "weights": [[significant(x) for x in row] for row in run["weights"][layer][head]],
            }
        ],
    }
    path = HERE / "recorded-attention.json"
    path.write_text(json.dumps(recording, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{path.name}: layer {layer}, head {head}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
