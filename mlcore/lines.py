"""Clips of any length laid one after the other, so that one call of numpy measures them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Columns above which a sum for each clip takes half as long as `reduceat`, which walks down each
#: column alone.
FEW_COLUMNS = 32


@dataclass(frozen=True)
class Line:
    """Where each clip of a line starts and how long it is; none is empty.

    Examples
    --------
    >>> line = Line.of([2, 3])
    >>> line.sums(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    array([ 3., 12.])
    >>> line.owner
    array([0, 0, 1, 1, 1])
    """

    starts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, lengths: Sequence[int] | np.ndarray) -> Line:
        """Lay clips of these lengths one after the other."""
        lengths = np.asarray(lengths)
        return cls(np.add.accumulate(lengths) - lengths, lengths)

    @cached_property
    def ends(self) -> np.ndarray:
        """One past the last place of each clip."""
        return self.starts + self.lengths

    @cached_property
    def owner(self) -> np.ndarray:
        """The clip at each place."""
        return np.repeat(np.arange(len(self.lengths)), self.lengths)

    @cached_property
    def slices(self) -> list[slice]:
        """The places of each clip."""
        return list(map(slice, self.starts.tolist(), self.ends.tolist()))

    def kept(self, marked: np.ndarray) -> Line:
        """Return the line that is left of the places marked; some of each clip must be."""
        return Line.of(np.add.reduceat(marked, self.starts, dtype=int))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of each clip's values, of shape (n_places, ...), over its places."""
        if values.ndim == 1 or values.shape[1] <= FEW_COLUMNS:
            return np.add.reduceat(values, self.starts)
        if self.lengths.min() == self.lengths.max():
            return np.add.reduce(values.reshape(len(self.lengths), -1, values.shape[1]), axis=1)
        found = np.empty((len(self.lengths), values.shape[1]), values.dtype)
        for places, total in zip(self.slices, found, strict=True):
            np.add.reduce(values[places], out=total)
        return found

    def ordered(self, values: np.ndarray) -> np.ndarray:
        """Return the values, of shape (n_places,), in ascending order within each clip."""
        found = values.copy()
        for places in self.slices:
            found[places].sort()
        return found
