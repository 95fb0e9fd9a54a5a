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
    """Return columns; None unless they are of this state."""
    try:
        with np.load(_path(dataset), allow_pickle=False) as file:
            if str(file[STATE]) != state or not set(names) <= set(file.files):
                return None
            return {name: file[name] for name in names}
    except FileNotFoundError:
        return None


def remove(dataset: int) -> None:
    """Remove what was kept of a dataset (by id)."""
    _path(dataset).unlink(missing_ok=True)


def _path(dataset: int) -> Path:
    return Path(settings.DATA_DIR) / "facts" / f"{dataset}.npz"
