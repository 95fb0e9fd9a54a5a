"""Hashes by which a picture is known again however it was saved: its lowest frequencies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

#: Side of the grey picture that hashes are computed from (Zauner 2010, pHash).
HASH_SIDE = 32

#: A coefficient of the 32 x 32 DCT below this is noise: saving the scenes of bench/intake.py
#: as JPEG of quality 40 moves 99 % of theirs by less than 4.04.
NOISE_COEFFICIENT = 4.0


def _dct_rows() -> np.ndarray:
    """Return the first 8 rows of the orthonormal 32-point DCT-II, shape (8, 32)."""
    k, n = np.arange(8)[:, None], np.arange(HASH_SIDE)[None, :]
    rows = np.cos(np.pi * k * (2 * n + 1) / (2 * HASH_SIDE)) * np.sqrt(2 / HASH_SIDE)
    rows[0] = np.sqrt(1 / HASH_SIDE)
    return rows.astype(np.float32)


_DCT = _dct_rows()


@dataclass(frozen=True)
class Hashed:
    """The small grey picture of 32 x 32 and what its lowest frequencies tell."""

    small: bytes
    phash: int
    deviation: float
    structure: int


def grey_fields(luma: np.ndarray) -> bytes:
    """Return the mean luma of the 32 x 32 fields of a picture, uint8, row by row.

    Parameters
    ----------
    luma : uint8 ndarray of shape (height, width)
    """
    from mlcore.pixel_sums import field_means  # here, since web processes import this module

    if not any(side % HASH_SIDE for side in luma.shape):
        return field_means(luma, HASH_SIDE).tobytes()
    # Smaller ones are enlarged smoothly: blocks would be edges that no larger copy has.
    way = Image.Resampling.LANCZOS if min(luma.shape) < HASH_SIDE else Image.Resampling.BOX
    return Image.fromarray(luma).resize((HASH_SIDE, HASH_SIDE), way).tobytes()


def hashes_of(lumas: Sequence[np.ndarray]) -> list[Hashed]:
    """Hash pictures by their luma, uint8 of shape (height, width), all at once."""
    kept = [grey_fields(luma) for luma in lumas]
    levels = np.frombuffer(b"".join(kept), np.uint8).astype(np.float32)
    small = levels.reshape(-1, HASH_SIDE, HASH_SIDE)
    coefficients = hash_coefficients(small)
    structure = (np.abs(coefficients.reshape(-1, 64)[:, 1:]) >= NOISE_COEFFICIENT).sum(axis=1)
    deviation = small.std(axis=(1, 2), dtype=np.float64).round(3)
    columns = (kept, hashes_from(coefficients).tolist(), deviation.tolist(), structure.tolist())
    return [Hashed(*row) for row in zip(*columns, strict=True)]


def hash_coefficients(small: np.ndarray) -> np.ndarray:
    """Return the 8 x 8 lowest DCT coefficients of 32 x 32 grey pictures.

    Parameters
    ----------
    small : float ndarray of shape (..., 32, 32)
        Luma, 0 to 255.

    Returns
    -------
    float ndarray of shape (..., 8, 8)
        Orthonormal DCT-II; [0, 0] is 32 times the mean.
    """
    return _DCT @ small @ _DCT.T


def hashes_from(coefficients: np.ndarray) -> np.ndarray:
    """Return as 64 bits which coefficients lie above the median of the 63 that vary.

    From (n, 8, 8) coefficients come n unsigned hashes.
    """
    coefficients = coefficients.reshape(-1, 64)
    median = np.sort(coefficients[:, 1:], axis=1)[:, 31:32]
    return np.packbits(coefficients > median, axis=1, bitorder="little").view("<u8")[:, 0]
