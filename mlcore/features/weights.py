"""Find weight files by name, and name them by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

MOBILENET_FILE = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"
YAMNET_FILE = "yamnet.tflite"


def find_weights(name: str, folders: Iterable[Path | None]) -> Path | None:
    """Return the first file of this name at or below the folders, in their order.

    Parameters
    ----------
    name : str
        File name without folders.
    folders : iterable of Path or None
        Those that are None or absent are passed over.

    Returns
    -------
    Path or None
    """
    for folder in folders:
        if folder is not None and folder.is_dir():
            found = sorted(path for path in folder.rglob(name) if path.is_file())
            if found:
                return found[0]
    return None


def short_digest(path: Path) -> str:
    """Return the first 8 hexadecimal digits of a file's sha256."""
    return _digest(path, path.stat().st_mtime_ns)[:8]


@lru_cache(maxsize=16)
def _digest(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
