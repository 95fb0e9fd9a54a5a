"""Cut what even bars leave of small grey pictures out of them, at the pictures' own size."""

from __future__ import annotations

import numpy as np
from PIL import Image

from mlcore.alignment import SIDE, batches
from mlcore.frames import FRAME_DEVIATION

OTHERS = 0.1
"""Share of a line that may differ from a bar's level: corners, and what is written there."""

LEAST_SIDE = SIDE / 2
"""Pixels of a side from which an inside is looked at: fewer tell too little once enlarged."""


def insides(pictures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which pictures have bars around an inside, and these insides, enlarged.

    Any plain ground is a bar here: only pictures with a frame (`mlcore.frames`) have insides.

    Parameters
    ----------
    pictures : ndarray of shape (n_pictures, SIDE * SIDE)
        Grey levels, 0 to 255.

    Returns
    -------
    int ndarray of shape (n_insides,), float32 ndarray of shape (n_insides, SIDE * SIDE)
        Rows of the pictures, and their insides.

    Examples
    --------
    >>> picture = np.zeros((1, SIDE, SIDE), np.uint8)
    >>> picture[:, 6:26, 4:28] = 100 + 5 * np.arange(24)
    >>> rows, found = insides(picture.reshape(1, -1))
    >>> rows.tolist(), bool(found.min() > 50)
    ([0], True)
    """
    boxes = np.concatenate([_boxes(part.reshape(-1, SIDE, SIDE)) for part in batches(pictures)])
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    large, small = np.maximum(width, height), np.minimum(width, height)
    rows = np.flatnonzero((small >= LEAST_SIDE) & (small + large < 2 * SIDE))
    found = np.empty((len(rows), SIDE * SIDE), np.float32)
    for place, row in enumerate(rows):
        found[place] = _enlarged(pictures[row], boxes[row])
    return rows, found


def _boxes(grey: np.ndarray) -> np.ndarray:
    """Return left, top, right and bottom of what bars leave, in pixels."""
    columns = grey.transpose(0, 2, 1)
    near = [_bar(columns), _bar(grey)]
    far = [SIDE - _bar(columns[:, ::-1]), SIDE - _bar(grey[:, ::-1])]
    return np.stack(near + far, axis=1)


def _bar(lines: np.ndarray) -> np.ndarray:
    """Return where each bar ends that begins at the first line, in lines; 0 where none does.

    The line where it ends shows both: as much of what is behind as it has in common with the next.
    """
    level = np.median(lines[:, 0], axis=1)
    off = lines.astype(np.float32) - level[:, None, None].astype(np.float32)
    is_other = (np.abs(off) > FRAME_DEVIATION).mean(axis=2) > OTHERS
    end = is_other.argmax(axis=1)
    pictures = np.arange(len(lines))
    last, behind = off[pictures, end], off[pictures, np.minimum(end + 1, SIDE - 1)]
    shown = np.vecdot(last, behind) / np.maximum(np.vecdot(behind, behind), 1e-6)
    return np.where(end > 0, end + 1 - np.clip(shown, 0.0, 1.0), 0.0)


def _enlarged(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    grey = Image.fromarray(picture.reshape(SIDE, SIDE).astype(np.float32))
    inside = grey.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=tuple(box.tolist()))
    return np.asarray(inside).ravel()
