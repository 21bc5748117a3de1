"""Data preparation: downloads the packages, draws and decodes every picture once, embeds every caption once.

Writes into the work folder
- `train.npy`   u8 `[pictures, 96, 96, 4]`: training pictures, cropped to what is drawn, fitted into the square;
- `test32.npy`, `test48.npy`, `test64.npy`   u8 `[pictures, side, side, 3]`: held-out pictures as the model is given them: on white, resized;
- `data.json`   what each picture is, the captions, the three tests;
- `captions.npy`, `names.npy`   f32 `[templates, captions, 384]`: caption embeddings for training and for the tests.
"""

import json
from collections import Counter

import numpy as np
import torch
from PIL import Image

import concepts as concept_list
import download
import pictures
from common import SIZES, STORED, TEMPLATES, parser, replace
from text import TextTower

HELD_OUT_EVERY = 25  # concepts no style of which is trained on
PHOTO_EVERY = 10  # stamps kept for the test of photographs


def stored(image: Image.Image) -> np.ndarray:
    """The drawn part of a picture in a square of `STORED` pixels, proportions kept. u8 `[STORED, STORED, 4]`."""
    box = image.getchannel("A").point(lambda a: 255 if a > 8 else 0).getbbox() or (0, 0, *image.size)
    image = image.crop(box)
    scale = STORED / max(image.size)
    size = [max(1, round(side * scale)) for side in image.size]
    square = Image.new("RGBA", (STORED, STORED))
    square.paste(image.resize(size, Image.Resampling.BICUBIC), ((STORED - size[0]) // 2, (STORED - size[1]) // 2))
    return np.asarray(square)


def given(image: Image.Image, side: int) -> np.ndarray:
    """A picture as the page gives it to the model: on white, both sides resized to `side`, bicubic. u8 `[side, side, 3]`."""
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return np.asarray(white.convert("RGB").resize((side, side), Image.Resampling.BICUBIC))


def collect(args):
    """Training pictures, and the three tests' pictures by name."""
    modules, share = download.npm(args.work / "downloads"), download.debian(args.work / "downloads")
    concepts = concept_list.load(modules)
    held = {index for index in range(len(concepts)) if index % HELD_OUT_EVERY == HELD_OUT_EVERY - 1}
    unseen = pictures.phrase_pattern([concepts[index].name for index in held])
    train, tests = [], {"style": [], "concepts": [], "photographs": []}

    emoji = [picture for name in pictures.TRAINING_SETS for picture in pictures.emoji_set(modules, name, concepts)]
    for picture in [*emoji, *pictures.fluent_3d(modules, concepts)]:
        (tests["concepts"] if picture.concept in held else train).append(picture)
    for picture in pictures.emoji_set(modules, pictures.STYLE_TEST, concepts):
        tests["concepts" if picture.concept in held else "style"].append(picture)

    words = {word for concept in concepts for word in (concept.name, *concept.tags)}
    stamps = list(pictures.stamps(share))
    words |= {picture.label for picture in stamps}
    for index, picture in enumerate(stamps):
        if index % PHOTO_EVERY == 0:
            tests["photographs"].append(picture)
        elif not unseen.search(picture.label):
            train.append(picture)
    train += [picture for picture in pictures.clip_art(share, words) if not unseen.search(picture.label)]
    for picture in train:
        picture.tags = [tag for tag in dict.fromkeys(picture.tags) if tag != picture.label and not unseen.search(tag)]
    names = {
        "style": [concept.name for concept in concepts],
        "concepts": [concepts[index].name for index in sorted(held)],
        "photographs": sorted({picture.label for picture in tests["photographs"]}),
        "all photographs": sorted({picture.label for picture in stamps}),
    }
    return train, tests, names


def embed(tower: TextTower, words: list[str]) -> np.ndarray:
    """Every word in every template. f32 `[templates, words, 384]`."""
    return np.stack([tower.embed([template.format(word) for word in words]) for template in TEMPLATES])


def main() -> None:
    args = parser(__doc__.splitlines()[0]).parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    train, tests, names = collect(args)
    captions = sorted({word for picture in train for word in (picture.label, *picture.tags)})
    place = {caption: index for index, caption in enumerate(captions)}
    everything = sorted({name for listed in names.values() for name in listed})
    whole = [picture for listed in tests.values() for picture in listed]
    where = {name: index for index, name in enumerate(everything)}
    start, test_rows = 0, {}
    for test, listed in tests.items():
        test_rows[test] = {
            "rows": list(range(start, start + len(listed))),
            "answers": [where[picture.label] for picture in listed],
            "names": [where[name] for name in names[test]],
        }
        start += len(listed)
    test_rows["photographs"]["all names"] = [where[name] for name in names["all photographs"]]
    data = {
        "captions": captions,
        "names": everything,
        "tests": test_rows,
        "test_pictures": [{"source": p.source, "key": p.key, "label": p.label} for p in whole],
        "pictures": [
            {"source": p.source, "key": p.key, "label": place[p.label], "tags": [place[tag] for tag in p.tags], "concept": p.concept}
            for p in train
        ],
    }
    def save(name, array):
        def write(beside):
            with open(beside, "wb") as out:
                np.save(out, array)

        replace(args.work / name, write)

    save("train.npy", np.stack([stored(picture.image) for picture in train]))
    for side in SIZES:
        save(f"test{side}.npy", np.stack([given(picture.image, side) for picture in whole]))
    tower = TextTower(download.text_tower(args.work / "downloads"))
    save("captions.npy", embed(tower, captions))
    save("names.npy", embed(tower, everything))
    replace(args.work / "data.json", lambda beside: beside.write_text(json.dumps(data)))
    for source, count in Counter(picture.source for picture in train).most_common():
        print(f"{source:20} {count:6} training pictures")
    print(f"{len(train)} training pictures, {len(captions)} captions")
    for test, listed in tests.items():
        print(f"{test}: {len(listed)} pictures, {len(names[test])} names")


if __name__ == "__main__":
    main()
