"""Find the slices of a set where a model is clearly worse than elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mlcore.chance import PERMUTATIONS, p_value
from mlcore.neighbours import nearest
from mlcore.shortcuts import Value, bins

LEAST_ITEMS = 20
"""Items of a slice below which nothing is said about it."""

CLUSTER_ITEMS = 40
"""An item and its nearest ones: of 20, as many mistakes would not stand out from chance."""

MOST_ITEMS = 10_000
"""Items looked at; a share of a larger set tells as much."""

FOUND = 0.005
"""p-value up to which a slice is named: of PERMUTATIONS one at most reaches as high."""

MIXED = 0.4
"""Share of labels in a bad slice that are as if dealt at random, of the ratio that is summed."""

MOST_SHARED = 0.5
"""Share of a cluster that may be in one before; the same place is named once."""

LEAST_EFFECT = 0.2
"""Cohen's h of the shares wrong here and elsewhere below which a slice is not clearly worse.

The difference of the arcsines counts alike for good models and poor ones: .54 against .44 is as
much as .05 against .015. Less is not even a small effect (Cohen 1988, chapter 6), however many
items prove it.
"""

LEAST_PROBABILITY = 0.001
"""The ratio is cut here; a softmax is no surer than that."""


@dataclass(frozen=True)
class Slice:
    """Items where the model is worse than elsewhere.

    Attributes
    ----------
    column, value : str
        Both empty for a cluster of alike items.
    rows : int64 ndarray
        The items, the most surprising label first.
    wrong, elsewhere : float
        Share of the items that the model gets wrong, here and outside.
    excess : float
        Mean log likelihood ratio (nats) of labels partly dealt at random against the model's own,
        above what the model itself expects, less that of all items.
    p_value : float
        Of the largest deviation among all slices, surprises shuffled.
    """

    column: str
    value: str
    rows: np.ndarray
    wrong: float
    elsewhere: float
    excess: float
    p_value: float


@dataclass(frozen=True)
class _Known:
    """What is judged: rows of the whole set, surprise, and whether the model is wrong."""

    rows: np.ndarray
    surprise: np.ndarray
    is_wrong: np.ndarray


def find_slices(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    vectors: np.ndarray | None,
    columns: Mapping[str, Sequence[Value]],
    rng: np.random.Generator,
) -> list[Slice]:
    """Return the slices where the model is worse than chance puts any, worst first.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        -1 where there is none.
    probabilities : float ndarray of shape (n_items, n_classes)
        Out of sample; a row with NaN is not judged.
    vectors : float ndarray of shape (n_items, n_dimensions) or None
        Each item with its nearest ones by cosine is a slice.
    columns : mapping of name to sequence of length n_items
        As for `mlcore.shortcuts.find_shortcuts`: each value is a slice.
    rng : numpy Generator

    Returns
    -------
    list of Slice
        Those up to FOUND and from LEAST_EFFECT on. The surprise of an item is the log likelihood
        ratio of its label if the slice had MIXED of its labels dealt at random, against the model
        (Neyman and Pearson 1933), less its expectation under the model, so that a
        model that knows its confusions is not blamed for them, and labels that it would have sworn
        against count. The deviation of a slice's mean is divided by its standard error,
        and the largest of all slices in PERMUTATIONS shuffles corrects for their number; none is
        dealt once nothing can be named.
    """
    known = _known(labels, probabilities, rng=rng)
    if len(known.rows) < 2 * LEAST_ITEMS:
        return []
    by_value = _value_slices(known, columns)
    around = _surroundings(None if vectors is None else vectors[known.rows], len(known.rows))
    real = _where_wrong(known, _deviations(known.surprise, by_value, around), by_value, around)
    highest = _largest(real)
    enough = int(FOUND * (PERMUTATIONS + 1))  # shuffles that reach a slice which is not named
    largest = np.full(PERMUTATIONS, -np.inf)
    for place in range(PERMUTATIONS):
        chance = _deviations(rng.permutation(known.surprise), by_value, around)
        largest[place] = _largest(chance)
        if np.count_nonzero(largest >= highest) == enough:
            return []
    least = float(np.sort(largest)[-enough])
    found = [
        (float(value), *of) for value, of in zip(real[0], by_value, strict=True) if value > least
    ]
    found += _clusters(real[1], around, least=least)
    ranked = sorted(found, key=lambda slice_: -slice_[0])
    return [
        _slice(known, column, name, members, p_value(value, largest))
        for value, column, name, members in ranked
    ]


def _known(labels: np.ndarray, probabilities: np.ndarray, *, rng: np.random.Generator) -> _Known:
    rows = np.flatnonzero((labels >= 0) & ~np.isnan(probabilities).any(axis=1))
    if len(rows) > MOST_ITEMS:
        rows = np.sort(rng.choice(rows, MOST_ITEMS, replace=False))
    told = probabilities[rows]
    ratios = _log_ratios(told)
    given = ratios[np.arange(len(rows)), labels[rows]]
    return _Known(rows, given - (told * ratios).sum(axis=1), told.argmax(axis=1) != labels[rows])


def _log_ratios(told: np.ndarray) -> np.ndarray:
    """Return how much each label would speak for a slice with MIXED labels (nats)."""
    at_random = 1.0 / told.shape[1]
    return np.asarray(np.log(1 - MIXED + MIXED * at_random / np.maximum(told, LEAST_PROBABILITY)))


def _value_slices(
    known: _Known, columns: Mapping[str, Sequence[Value]]
) -> list[tuple[str, str, np.ndarray]]:
    """Return column, value and members of each value with enough items inside and outside."""
    found = []
    for column, values in columns.items():
        binned = bins([values[row] for row in known.rows.tolist()])
        for code, name in enumerate(binned.names if binned else ()):
            members = np.flatnonzero(binned.codes == code) if binned else known.rows
            if LEAST_ITEMS <= len(members) <= len(known.rows) - LEAST_ITEMS:
                found.append((column, name, members))
    return found


def _surroundings(vectors: np.ndarray | None, n_items: int) -> np.ndarray:
    """Return each judged item with its nearest ones, CLUSTER_ITEMS in all."""
    if vectors is None or n_items < 2 * CLUSTER_ITEMS:
        return np.zeros((0, CLUSTER_ITEMS), np.int64)
    near = nearest(np.nan_to_num(vectors), k=CLUSTER_ITEMS - 1).indices
    return np.concatenate((np.arange(n_items)[:, None], near), axis=1)


def _deviations(
    surprise: np.ndarray, by_value: list[tuple[str, str, np.ndarray]], around: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return how many standard errors above the mean each value and each place is."""
    centred = surprise - surprise.mean()
    scale = float(centred.std()) or 1.0
    values = [centred[members].sum() / np.sqrt(len(members)) for *_, members in by_value]
    return np.array(values) / scale, centred[around].sum(axis=1) / np.sqrt(CLUSTER_ITEMS) / scale


def _where_wrong(
    known: _Known,
    deviations: tuple[np.ndarray, np.ndarray],
    by_value: list[tuple[str, str, np.ndarray]],
    around: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the deviations but where the model is not clearly more often wrong than elsewhere.

    Where it is right in doubt here and right without doubt there, surprises differ and labels
    are as good.
    """
    of_values = [known.is_wrong[members] for *_, members in by_value]
    wrong = np.array([part.sum() for part in of_values]), known.is_wrong[around].sum(axis=1)
    sizes = np.array([len(part) for part in of_values]), np.full(len(around), CLUSTER_ITEMS)
    n_wrong, n = known.is_wrong.sum(), len(known.rows)
    values, places = (
        np.where(
            effect_of(inside / size, (n_wrong - inside) / (n - size)) >= LEAST_EFFECT, part, -np.inf
        )
        for inside, size, part in zip(wrong, sizes, deviations, strict=True)
    )
    return values, places


def effect_of(here: np.ndarray, elsewhere: np.ndarray) -> np.ndarray:
    """Return Cohen's h of two shares: 0 where they are equal, pi at most.

    Examples
    --------
    >>> effect_of(np.array([0.48, 0.05]), np.array([0.44, 0.01])).round(2)
    array([0.08, 0.25])
    """
    return np.asarray(2 * np.arcsin(np.sqrt(here)) - 2 * np.arcsin(np.sqrt(elsewhere)))


def _largest(deviations: tuple[np.ndarray, np.ndarray]) -> float:
    return max(float(part.max(initial=0.0)) for part in deviations)


def _clusters(
    deviations: np.ndarray, around: np.ndarray, *, least: float
) -> list[tuple[float, str, str, np.ndarray]]:
    """Return the places above chance, highest first, without those named before."""
    found, is_named = [], np.zeros(len(around), dtype=bool)
    order = np.argsort(-deviations, kind="stable")
    for at in order[deviations[order] > least].tolist():
        members = around[at]
        if is_named[members].mean() <= MOST_SHARED:
            is_named[members] = True
            found.append((float(deviations[at]), "", "", members))
    return found


def _slice(known: _Known, column: str, value: str, members: np.ndarray, p: float) -> Slice:
    is_inside = np.zeros(len(known.rows), dtype=bool)
    is_inside[members] = True
    worst_first = members[np.argsort(-known.surprise[members], kind="stable")]
    return Slice(
        column=column,
        value=value,
        rows=known.rows[worst_first],
        wrong=float(known.is_wrong[is_inside].mean()),
        elsewhere=float(known.is_wrong[~is_inside].mean()),
        excess=float(known.surprise[is_inside].mean() - known.surprise.mean()),
        p_value=p,
    )
