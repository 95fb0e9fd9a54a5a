"""What share of a queue is right, learned from decisions; a check's own belief is the start.

The log odds of a flag being right are a + b times the log odds that the check gives it, plus an
offset of its class. Before any decision a is about 0 and b about 1: the check is believed. This
is Platt's scaling (1999) as a posterior over a grid, so that few decisions move it a little.
"""

from dataclasses import dataclass, field

import numpy as np

from mlcore.intervals import NORMAL_95, Interval

SURE = 1e-4
"""Beliefs are cut to SURE..1 - SURE; far below one in a hundred they still rank."""
STEP = 0.25
"""Log odds between two beliefs that are told apart where flags are counted together."""
SHIFT_SPREAD = 1.0
"""Scale of a, log odds: where a check says 50 %, it is as often 27 to 73 % as anything beyond. A
Cauchy distribution (Gelman et al. 2008, doi:10.1214/08-AOAS191), so that a check that is far off is
left behind after few decisions while the others are believed."""
SLOPE_SPREAD = 0.25
"""Standard deviation of b around 1; never below 0: more suspicious is not less often right."""
CLASS_SPREAD = 1.0
"""Standard deviation of a class around the others, log odds."""
LEAST_OF_CLASS = 10
"""Decisions about a class below which it is taken to be like the others."""
SHIFTS = np.linspace(-6.0, 6.0, 61)
SLOPES = np.linspace(0.0, 2.0, 17)


@dataclass(frozen=True)
class ShareRight:
    """How often flags of one kind are right, as far as decisions tell.

    Attributes
    ----------
    weights : float64 ndarray of shape (n_shifts * n_slopes,)
        How probable each pair of shift and slope is; sums to 1.
    offsets : dict of str to float
        Log odds to add for classes that were decided often enough.
    """

    weights: np.ndarray
    offsets: dict[str, float] = field(default_factory=dict)

    def expected(self, believed: np.ndarray, classes: list[str]) -> np.ndarray:
        """Return the expected share right of each flag.

        Parameters
        ----------
        believed : float ndarray of shape (n_flags,)
            What the check itself expects, 0 to 1.
        classes : list of str, one a flag

        Returns
        -------
        float64 ndarray of shape (n_flags,)
        """
        shares, place = self._cells(believed, classes)
        return np.asarray((self.weights @ shares)[place])

    def total(self, believed: np.ndarray, classes: list[str], counts: np.ndarray) -> Interval:
        """Return how many flags are right, with limits for what is unknown and for chance.

        Parameters
        ----------
        believed : float ndarray of shape (n_groups,)
        classes : list of str, one a group
        counts : int ndarray of shape (n_groups,)
            Flags that are alike are counted together.

        Returns
        -------
        Interval
            In flags, 0 to the sum of counts.
        """
        shares, place = self._cells(believed, classes)
        n = np.bincount(place, weights=counts, minlength=shares.shape[1])
        totals = shares @ n
        chance = NORMAL_95**2 * float(self.weights @ (shares * (1 - shares)) @ n)
        value = float(self.weights @ totals)
        low, high = _limits(totals, self.weights)
        return Interval(
            value,
            max(0.0, value - float(np.hypot(value - low, chance**0.5))),
            min(float(n.sum()), value + float(np.hypot(high - value, chance**0.5))),
        )

    def _cells(self, believed: np.ndarray, classes: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return shares by setting and kind of flag, and of which kind each flag is."""
        offsets = np.array([self.offsets.get(name, 0.0) for name in classes], dtype=float)
        pairs = np.stack([_log_odds(believed), offsets], axis=1)
        cells, place = np.unique(pairs, axis=0, return_inverse=True)
        return _shares(cells[:, 0], cells[:, 1]), place.ravel()


def in_steps(believed: float) -> float:
    """Return the belief rounded to one of 75, so that flags alike are counted together.

    Examples
    --------
    >>> [round(in_steps(share), 3) for share in (0.0, 0.5, 0.53, 0.99)]
    [0.0, 0.5, 0.5, 0.989]
    """
    odds = STEP * np.round(_log_odds(np.array([believed])) / STEP)
    return float(1 / (1 + np.exp(-odds[0])))


def learn_shares(
    believed: np.ndarray, classes: list[str], right: np.ndarray, wrong: np.ndarray
) -> ShareRight:
    """Learn from decisions how far a check is to be believed.

    Parameters
    ----------
    believed : float ndarray of shape (n_groups,)
        What the check itself expected, 0 to 1; decisions that are alike are counted together.
    classes : list of str, one a group
        An empty name is no class.
    right, wrong : int ndarray of shape (n_groups,)
        Decisions that found the flag right, and not.

    Returns
    -------
    ShareRight

    Examples
    --------
    >>> nothing, some = np.array([]), np.array([0.5])
    >>> learn_shares(nothing, [], nothing, nothing).expected(some, ["cat"]).round(2).tolist()
    [0.5]
    >>> found = learn_shares(some, ["cat"], np.array([20]), np.array([0]))
    >>> bool(found.expected(some, ["cat"])[0] > 0.9)
    True
    """
    odds = _log_odds(believed)
    shift, slope = _grid()
    fit = -np.log1p((shift / SHIFT_SPREAD) ** 2) - 0.5 * ((slope - 1.0) / SLOPE_SPREAD) ** 2
    fit = fit + _log_chance(shift[:, None] + slope[:, None] * odds, right, wrong)
    weights = np.exp(fit - fit.max())
    weights /= weights.sum()
    middle = float(weights @ shift) + float(weights @ slope) * odds
    names = np.array(classes, dtype=object)
    offsets = {}
    for name in set(classes) - {""} if len(set(classes)) > 1 else ():
        of = names == name
        if (right[of] + wrong[of]).sum() >= LEAST_OF_CLASS:
            offsets[name] = _offset(middle[of], right[of], wrong[of])
    return ShareRight(weights, offsets)


def _offset(odds: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> float:
    """Return the expected offset of one class, in steps; shift and slope are taken as known."""
    fit = -0.5 * (SHIFTS / CLASS_SPREAD) ** 2 + _log_chance(SHIFTS[:, None] + odds, right, wrong)
    weights = np.exp(fit - fit.max())
    return STEP * round(float(weights @ SHIFTS / weights.sum()) / STEP)


def _log_chance(odds: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Return the log likelihood of the decisions; odds of shape (n_settings, n_groups)."""
    return np.asarray(-np.logaddexp(0, -odds) @ right - np.logaddexp(0, odds) @ wrong)


def _grid() -> tuple[np.ndarray, np.ndarray]:
    shift, slope = np.meshgrid(SHIFTS, SLOPES, indexing="ij")
    return shift.ravel(), slope.ravel()


def _log_odds(believed: np.ndarray) -> np.ndarray:
    share = np.clip(believed, SURE, 1 - SURE)
    return np.asarray(np.log(share / (1 - share)))


def _shares(odds: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return the share right by setting of shift and slope (rows) and flag (columns)."""
    shift, slope = _grid()
    return np.asarray(1 / (1 + np.exp(-(shift[:, None] + slope[:, None] * odds + offsets))))


def _limits(values: np.ndarray, weights: np.ndarray) -> tuple[float, float]:
    """Return what 2.5 and 97.5 % of the weight lie below."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    low, high = np.minimum(np.searchsorted(reached, [0.025, 0.975]), len(order) - 1)
    return float(values[order[low]]), float(values[order[high]])
