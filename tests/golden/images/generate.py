"""Ten small pictures with odd properties, and what PyTorch transformers' processors make of them.

Writes the pictures and `golden.json` beside this script, with no network.

    python tests/golden/images/generate.py

Processors know neither EXIF nor transparency nor 16 bits, so that much is done with PIL first, as people do: turned as EXIF says, laid
on white, divided by 257. For each picture and processor: `rgb`, the bytes before rescaling as hexadecimal `[height][width][3]`, and
`pixels`, the first numbers after normalising, in the same order.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from transformers import CLIPImageProcessor, DeiTImageProcessor, ViTImageProcessor

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from common import header, seeded, significant, write_json  # noqa: E402

GENERATOR = "tests/golden/images/generate.py"
HALF = [0.5, 0.5, 0.5]
PROCESSORS = {
    "clip": CLIPImageProcessor(size={"shortest_edge": 24}, crop_size={"height": 24, "width": 24}),
    "vit": ViTImageProcessor(size={"height": 20, "width": 20}),
    "deit": DeiTImageProcessor(size={"height": 28, "width": 28}, crop_size={"height": 24, "width": 24}),
    "mini-clip": ViTImageProcessor(size={"height": 48, "width": 48}, resample=3),
}


def scene(height, width, seed):
    """Smooth colours, some edges and a little noise, `[height, width, 3]` in 0…1."""
    rng = seeded(seed)
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    waves = [np.sin(2 * np.pi * (rng.uniform(0.5, 3) * x + rng.uniform(0.5, 3) * y + rng.uniform())) for _ in range(3)]
    picture = 0.5 + 0.35 * np.stack(waves, -1)
    picture[((x - 0.4) ** 2 + (y - 0.3) ** 2) < 0.03] = rng.uniform(size=3)
    picture[(x > 0.6) & (y > 0.2) & (y < 0.35)] = rng.uniform(size=3)
    return np.clip(picture + 0.02 * rng.standard_normal(picture.shape), 0, 1)


def bytes_of(picture):
    return np.round(picture * 255).astype(np.uint8)


def rgb(height, width, seed):
    return Image.fromarray(bytes_of(scene(height, width, seed)))


def with_alpha(height, width, seed):
    alpha = np.linspace(0, 255, width).astype(np.uint8)[None, :, None].repeat(height, 0)
    return Image.fromarray(np.concatenate([bytes_of(scene(height, width, seed)), alpha], -1))


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned():
    image = rgb(30, 50, 5)
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned
    return saved(image, "JPEG", quality=95, exif=exif)


def animated():
    frames = [rgb(28, 36, seed).quantize(64) for seed in (71, 72)]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=100)


def palette_with_alpha():
    image = rgb(33, 27, 9).quantize(32)
    return saved(image, "PNG", transparency=bytes([0, 64, 128, 255] + [255] * 28))


def sixteen_bits():
    grey = scene(47, 33, 4).mean(-1)
    return saved(Image.fromarray(np.round(grey * 65535).astype(np.uint16)), "PNG")


FILES = {
    "odd-sides.png": lambda: saved(rgb(37, 53, 1), "PNG"),
    "alpha.png": lambda: saved(with_alpha(30, 40, 2), "PNG"),
    "grey.jpg": lambda: saved(rgb(45, 31, 3).convert("L"), "JPEG", quality=90),
    "sixteen-bits.png": sixteen_bits,
    "turned.jpg": turned,
    "cmyk.jpg": lambda: saved(rgb(29, 41, 6).convert("CMYK"), "JPEG", quality=95),
    "animated.gif": animated,
    "lossy.webp": lambda: saved(rgb(35, 48, 8), "WEBP", quality=90),
    "palette.png": palette_with_alpha,
    "wide.png": lambda: saved(rgb(20, 200, 10), "PNG"),
}


def prepared(path):
    """Upright, on white, 8 bits, RGB."""
    image = ImageOps.exif_transpose(Image.open(path))
    if image.mode == "I;16" or image.mode == "I":
        return Image.fromarray(np.round(np.asarray(image, np.float64) / 257).astype(np.uint8)).convert("RGB")
    if image.mode == "RGBA" or "transparency" in image.info:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def seen(processor, image):
    pixels = processor(image, return_tensors="np")["pixel_values"][0].transpose(1, 2, 0)  # [height, width, 3]
    mean, std = np.array(processor.image_mean), np.array(processor.image_std)
    whole = (pixels * std + mean) * 255
    assert np.abs(whole - np.round(whole)).max() < 1e-3
    return {"rgb": np.round(whole).astype(np.uint8).tobytes().hex(), "pixels": significant(pixels.reshape(-1)[:12])}


def main():
    golden = {"header": header(GENERATOR, ["transformers", "numpy", "pillow"], 0), "processors": {}, "pictures": {}}
    for name, processor in PROCESSORS.items():
        golden["processors"][name] = processor.to_dict()
    for name, make in FILES.items():
        (HERE / name).write_bytes(make())
        image = prepared(HERE / name)
        results = {kind: seen(processor, image) for kind, processor in PROCESSORS.items()}
        golden["pictures"][name] = {"size": [image.height, image.width], **results}
    write_json(HERE / "golden.json", golden)


if __name__ == "__main__":
    main()
