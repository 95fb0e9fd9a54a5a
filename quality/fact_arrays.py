"""What was measured of all items of a dataset, as arrays: one file, whole or absent.

A worker writes it, because to read it from the contents takes a page half a second. `state` tells
which items it is of: whoever reads asks for that of now.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from django.conf import settings

from labeling import shards

STATE = "state"


def keep(dataset: int, columns: Mapping[str, np.ndarray], *, state: str) -> None:
    """Replace what was kept of a dataset (by id) before."""
    shards.save_arrays(_path(dataset), {**columns, STATE: np.array(state)})


def kept(dataset: int, names: tuple[str, ...], *, state: str) -> dict[str, np.ndarray] | None:
    """Return columns; None unless all of them are there, and of this state."""
    try:
        with np.load(_path(dataset), allow_pickle=False) as file:
            return {name: file[name] for name in names} if _holds(file, names, state) else None
    except FileNotFoundError:
        return None


def are_kept(dataset: int, names: tuple[str, ...], *, state: str) -> bool:
    """Tell whether `kept` finds them, without reading them."""
    try:
        with np.load(_path(dataset), allow_pickle=False) as file:
            return _holds(file, names, state)
    except FileNotFoundError:
        return False


def _holds(file: np.lib.npyio.NpzFile, names: tuple[str, ...], state: str) -> bool:
    return str(file[STATE]) == state and set(names) <= set(file.files)


def remove(dataset: int) -> None:
    """Remove what was kept of a dataset (by id)."""
    _path(dataset).unlink(missing_ok=True)


def written() -> set[int]:
    """Return the datasets (by id) of which a file lies here."""
    return {int(path.stem) for path in _path(0).parent.glob("[0-9]*.npz")}


def _path(dataset: int) -> Path:
    return Path(settings.DATA_DIR) / "facts" / f"{dataset}.npz"
