"""Vectors of contents in files: immutable shards, whole or absent, never half.

A shard counts only once its list of hashes is there, and that is written last.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

import numpy as np
from django.conf import settings

from mlcore.alignment import SIDE

SHARD_ROWS = 8_192  # at 1,280 float32 columns 40 MB: written in a second, mapped in a millisecond
# Small grey pictures lie like the vectors of a backbone: they too belong to contents. An import
# keeps those of the one look; a check makes again what is missing.
SMALL_GREY = f"luma-{SIDE}"


def save_array(path: Path, array: np.ndarray) -> None:
    """Write one array."""
    _save(path, lambda file: np.save(file, array, allow_pickle=False))


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write several arrays as one file."""
    _save(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def save_text(path: Path, text: str) -> None:
    """Write a text."""
    _save(path, lambda file: file.write(text.encode()))


def _save(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let readers see all of what `write` writes or nothing, also after a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _Replacing(path) as temporary, open(temporary, "wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())


def save_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` make a file so that readers see all of it or nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _Replacing(path) as temporary:
        write(temporary)


def features_folder(backbone: str) -> Path:
    """Return where the vectors of a backbone lie."""
    return Path(settings.DATA_DIR) / "features" / backbone


def save_features(backbone: str, hashes: Sequence[str], *, vectors: np.ndarray) -> None:
    """Add the vectors of new contents as further shards; saying it twice changes nothing."""
    folder = features_folder(backbone)
    for start in range(0, len(hashes), SHARD_ROWS):
        part = list(hashes[start : start + SHARD_ROWS])
        name = hashlib.sha256("\n".join(part).encode()).hexdigest()[:16]
        rows = vectors[start : start + SHARD_ROWS]
        kept = rows if rows.dtype == np.uint8 else rows.astype(np.float32)
        save_array(folder / f"{name}.npy", kept)
        save_text(folder / f"{name}.json", json.dumps(part))


def drop_vectors(which: Callable[[list[str]], set[str]], *, backbone: str = "*") -> int:
    """Drop the vectors, of all backbones or one, of the contents that `which` picks of each shard.

    Returns how many. What is left of a shard is a new one; it is there before the old one goes.
    """
    count = 0
    for listing in sorted((Path(settings.DATA_DIR) / "features").glob(f"{backbone}/*.json")):
        hashes = json.loads(listing.read_text())
        dropped = which(hashes)
        if not dropped:
            continue
        rows = [row for row, sha256 in enumerate(hashes) if sha256 not in dropped]
        vectors = np.load(listing.with_suffix(".npy"), mmap_mode="r")
        kept = [hashes[row] for row in rows]
        save_features(listing.parent.name, kept, vectors=vectors[rows])
        listing.unlink()
        listing.with_suffix(".npy").unlink(missing_ok=True)
        count += len(dropped)
    return count


class _Replacing:
    """A temporary path that takes the place of `path` when all went well."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        descriptor, name = tempfile.mkstemp(dir=self.path.parent, prefix=".part-")
        os.close(descriptor)
        self.temporary = Path(name)
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            os.replace(self.temporary, self.path)
        else:
            self.temporary.unlink(missing_ok=True)
