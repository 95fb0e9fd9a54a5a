"""Power as decibels relative to full scale."""

import numpy as np

#: Levels are not followed below this, in dBFS; one step of 16 bits is -90.
FLOOR_DB = -100.0


def decibels(power: np.ndarray) -> np.ndarray:
    """Return power as dBFS, not below `FLOOR_DB`.

    Examples
    --------
    >>> decibels(np.array([1.0, 0.01, 0.0]))
    array([   0.,  -20., -100.])
    """
    return 10 * np.log10(np.maximum(power, 10 ** (FLOOR_DB / 10)))
