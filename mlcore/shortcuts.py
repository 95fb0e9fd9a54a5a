"""Find columns that give the label away: a name, a size, a format, a loudness, a source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlcore.chance import PERMUTATIONS, SURE, p_value

LEAST_POWER = 0.5
"""Half of what knowing the class itself would tell; honest properties (the brightness of ships, the
length of a word) stayed below on every clean set of `bench/shortcuts.py`."""

LEAST_ITEMS = 15
"""Items of a class below which nothing is said about it: three times the least bin."""

MOST_BINS = 12
LEAST_BIN = 5
"""Values are ranked into at most MOST_BINS parts, rarer ones than LEAST_BIN are put together."""

MOST_ITEMS = 20_000
"""Items looked at; a share of a larger set tells as much."""

UNIQUE_SHARE = 0.5
"""More distinct values than this share of the items make a name of each, which repeats nothing."""

Value = str | float | None
MISSING, RANGE = "missing", " to "


@dataclass(frozen=True)
class Shortcut:
    """A column from which one class can be told, though it should not.

    Attributes
    ----------
    column : str
    label : int
        The class that it gives away most.
    power : float
        0 to 1: how often a rule that knows only this column tells the class from all others, beyond
        guessing (Youden's J: share of the class found minus share of others called so), less what
        the same columns reach by chance.
    p_value : float
        Of the largest power among all columns and classes, labels shuffled.
    rows : int64 ndarray
        Items whose value speaks for the class.
    hit, called : float
        Share of the class, and of all others, among `rows`.
    words : str
        The values meant, such as "jpeg_quality 88 to 92" or "prefix IMG".
    """

    column: str
    label: int
    power: float
    p_value: float
    rows: np.ndarray
    hit: float
    called: float
    words: str


@dataclass(frozen=True)
class Binned:
    """Values of a column as codes of shape (n_items,), and a name for each code."""

    codes: np.ndarray
    names: list[str]
    is_ranked: bool


def find_shortcuts(
    labels: np.ndarray,
    columns: Mapping[str, Sequence[Value]],
    *,
    n_classes: int,
    rng: np.random.Generator,
) -> list[Shortcut]:
    """Return the columns that tell a class far better than they should, strongest first.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        -1 where there is none.
    columns : mapping of name to sequence of length n_items
        Numbers, words or None (missing, which is a value of its own). A column with a value for
        nearly every item of its own says nothing about others and is left out.
    n_classes : int
    rng : numpy Generator

    Returns
    -------
    list of Shortcut
        One a column at most. Power is the total variation distance between the column's values in
        the class and outside; the chance level is taken off, and the largest of all columns and
        classes in PERMUTATIONS shuffles corrects for their number (Westfall and Young 1993).
    """
    known = np.flatnonzero(labels >= 0)
    if len(known) > MOST_ITEMS:
        known = np.sort(rng.choice(known, MOST_ITEMS, replace=False))
    shown = labels[known]
    counts = np.bincount(shown, minlength=n_classes)
    judged = np.flatnonzero((counts >= LEAST_ITEMS) & (len(shown) - counts >= LEAST_ITEMS))
    binned = {
        name: bins([values[row] for row in known.tolist()]) for name, values in columns.items()
    }
    told = {name: found for name, found in binned.items() if found is not None}
    if not len(judged) or not told:
        return []
    real = np.stack([_distances(found, shown, counts)[judged] for found in told.values()])
    chance = np.empty((PERMUTATIONS, *real.shape))
    for place in range(PERMUTATIONS):
        dealt = rng.permutation(shown)
        chance[place] = [_distances(found, dealt, counts)[judged] for found in told.values()]
    level = chance.mean(axis=0)
    power = (real - level) / np.maximum(1.0 - level, 1e-9)
    largest = ((chance - level) / np.maximum(1.0 - level, 1e-9)).max(axis=(1, 2))
    return _found(told, power, largest, judged, known, shown)


def _found(
    told: Mapping[str, Binned],
    power: np.ndarray,
    largest: np.ndarray,
    judged: np.ndarray,
    known: np.ndarray,
    shown: np.ndarray,
) -> list[Shortcut]:
    found = []
    for place, (name, binned) in enumerate(told.items()):
        best = int(power[place].argmax())
        value = float(power[place, best])
        p = p_value(value, largest)
        if value >= LEAST_POWER and p <= SURE:
            found.append(_shortcut(name, binned, int(judged[best]), value, p, known, shown))
    return sorted(found, key=lambda shortcut: -shortcut.power)


def _shortcut(
    name: str,
    binned: Binned,
    label: int,
    power: float,
    p: float,
    known: np.ndarray,
    shown: np.ndarray,
) -> Shortcut:
    is_class = shown == label
    inside = np.bincount(binned.codes[is_class], minlength=len(binned.names)) / is_class.sum()
    outside = np.bincount(binned.codes[~is_class], minlength=len(binned.names)) / (~is_class).sum()
    speaking = np.flatnonzero(inside > outside)
    is_meant = np.isin(binned.codes, speaking)
    told = _told(binned, speaking)
    return Shortcut(
        column=name,
        label=label,
        power=power,
        p_value=p,
        rows=known[is_meant],
        hit=float(is_meant[is_class].mean()),
        called=float(is_meant[~is_class].mean()),
        words=", ".join(told[:4]) + (" and others" if len(told) > 4 else ""),
    )


def _told(binned: Binned, codes: np.ndarray) -> list[str]:
    """Return the names of bins; ranges of numbers beside each other are told as one."""
    if not binned.is_ranked:
        return [binned.names[code] for code in codes.tolist()]
    ranges = codes[[binned.names[code] != MISSING for code in codes.tolist()]]
    runs = np.split(ranges, np.flatnonzero(np.diff(ranges) != 1) + 1) if len(ranges) else []
    told = []
    for run in runs:
        low = binned.names[run[0]].split(RANGE)[0]
        high = binned.names[run[-1]].split(RANGE)[-1]
        told.append(low if low == high else f"{low}{RANGE}{high}")
    return told + [MISSING] * (len(ranges) < len(codes))


def _distances(binned: Binned, labels: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the total variation distance of each class from all others, 0 to 1."""
    n_classes, n_bins = len(counts), len(binned.names)
    table = np.bincount(labels * n_bins + binned.codes, minlength=n_classes * n_bins)
    table = table.reshape(n_classes, n_bins)
    others = table.sum(axis=0) - table
    inside = table / np.maximum(counts, 1)[:, None]
    outside = others / np.maximum(len(labels) - counts, 1)[:, None]
    return np.asarray(0.5 * np.abs(inside - outside).sum(axis=1))


def bins(values: Sequence[Value]) -> Binned | None:
    """Return values as codes with a name each; None where all are equal, or each is its own."""
    missing = np.array([value is None or value == "" or value != value for value in values])
    there = [value for value, gone in zip(values, missing) if not gone]
    if not there and not missing.any():
        return None
    is_ranked = bool(there) and all(isinstance(value, int | float) for value in there)
    if is_ranked:
        codes, names = _ranked(np.array(there, dtype=float))
    else:
        codes, names = _counted([str(value) for value in there])
    full = np.full(len(values), len(names), dtype=np.int64)
    full[~missing] = codes
    names = [*names, MISSING]
    used = np.unique(full)
    if len(used) < 2:
        return None
    return Binned(np.searchsorted(used, full), [names[code] for code in used], is_ranked)


def _ranked(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    parts = min(MOST_BINS, max(1, len(values) // LEAST_BIN))
    edges = np.unique(np.quantile(values, np.arange(1, parts) / parts, method="inverted_cdf"))
    edges = np.union1d(edges, _below_common(values, edges, least=len(values) / parts))
    codes = np.searchsorted(edges, values, side="left")
    names = []
    for code in range(len(edges) + 1):
        part = values[codes == code]
        low, high = (part.min(), part.max()) if len(part) else (0.0, 0.0)
        names.append(f"{low:.4g}" if low == high else f"{low:.4g}{RANGE}{high:.4g}")
    return codes, names


def _below_common(values: np.ndarray, edges: np.ndarray, *, least: float) -> np.ndarray:
    """Return values beside a common one above them, which would hide them in its part."""
    found, counts = np.unique(values, return_counts=True)
    common = np.flatnonzero(counts >= least)
    below = found[common[common > 0] - 1]
    part = np.append(-np.inf, edges)[np.searchsorted(edges, below, side="left")]
    held = [np.count_nonzero((values > low) & (values <= top)) for low, top in zip(part, below)]
    return np.asarray(below[np.array(held, int) >= LEAST_BIN])


def _counted(values: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return each repeated value's code; values too rare to repeat share one."""
    found, inverse, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
    if len(found) > UNIQUE_SHARE * len(values):
        return np.zeros(len(values), dtype=np.int64), ["a value of its own"]
    kept = np.flatnonzero(counts >= LEAST_BIN)
    place = np.full(len(found), len(kept))
    place[kept] = np.arange(len(kept))
    return place[inverse], [*found[kept].tolist(), "rare values"]
