"""Find items whose label is probably wrong, and say how probably.

A model that is often confused disagrees with many right labels. So the rate of wrong labels is
read where the model is surest (its own confusion is smallest there), and each disagreement is
weighed: what a wrong label explains against what the model's doubt explains (Bayes). Where the
classes' rates of noise do not differ by more than chance, that ranks like the model's confidence
in the label alone. Anchors after Patrini et al. 2017 (arXiv:1609.03683), neighbours' votes after
Zhu et al. 2022 (SimiFeat, arXiv:2110.06283).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlcore.beliefs import FEW_CLASSES, LEAST_PROBABILITY, Given, Joined
from mlcore.neighbours import NeighbourGraph

ERROR_SHARE = 0.5
"""Expected share of wrong labels from which one is called an error."""

ANCHOR_SHARE = 0.2
"""Share of the items of each predicted class, the surest, that the noise is read from.

At .1 / .2 / .3, 0.4 / 0.6 / 1.2 % of CIFAR-10 with its true labels are marked."""

ANCHOR_ROWS = 50_000
ANCHOR_ROWS_A_CLASS = 100
"""Items, evenly spaced, among which anchors are looked for: a rate of .01 is known to .001. More
where there are many classes, so that each has anchors."""

LEAST_KEPT = 0.1
"""Least share of the anchors' disagreement that is taken for wrong labels."""

LEAST_KNOWN = 0.5
"""Share of a predicted class's anchors that are given that class, from which the model knows it:
wrong labels can be told only where a class is given its own name more often than not (Patrini et
al. 2017). Two standard errors below, nothing that the model takes for the class is an error."""

LANDING_POWERS = np.linspace(1.0, 0.0, 5)
"""Powers of the classes' shares tried for where wrong labels land: from as often as a class is
given at all (1) to every class alike (0). Where classes are equally large all say the same."""

BELIEVED = 2 / 3
"""How far the noise of a class is believed against that of all classes, in logarithms: a
compromise between planted noise of a few kinds (1 would be best) and models that confuse classes
when they meet new speakers (0 would be)."""

CONCENTRATIONS = np.geomspace(1.0, 30_000.0, 16)
"""Weights tried, in items, of the noise of all classes together in that of each."""

BLOCK_VALUES = 2**16
"""Probabilities worked on at once: 256 KB; three such blocks stay in the processor's cache."""

ROUNDED = 0.01
"""How far above 1 a probability may lie that was rounded (float16)."""

MOST_CLASSES = 10_000
"""Classes whose noise matrix still fits into memory, 800 MB."""


@dataclass(frozen=True)
class LabelErrors:
    """What is wrong with the labels.

    Attributes
    ----------
    score : float64 ndarray of shape (n_items,)
        Expected share of wrong labels among items like this one, 0 to 1; below one half where the
        model takes it for the given class, or for one that it does not know; 0 if unlabelled.
    is_error : bool ndarray of shape (n_items,)
        The model prefers another class and the score is at least one half.
    suggested : int64 ndarray of shape (n_items,)
        Most probable class.
    noise_matrix : float64 ndarray of shape (n_classes, n_classes)
        Row: true class, column: given label; rows sum to 1.
    """

    score: np.ndarray
    is_error: np.ndarray
    suggested: np.ndarray
    noise_matrix: np.ndarray


def find_label_errors(
    labels: np.ndarray,
    probabilities: np.ndarray | None,
    *,
    n_classes: int | None = None,
    neighbours: NeighbourGraph | None = None,
    block_values: int = BLOCK_VALUES,
) -> LabelErrors:
    """Score how probably each label is wrong.

    Parameters
    ----------
    labels : int ndarray of shape (n_items,)
        Class index, of any whole type; -1 is unlabelled: never scored, never votes.
    probabilities : float ndarray of shape (n_items, n_classes) or None
        Out-of-sample, rows sum to 1; may be a memory map, which is read block by block. None
        before any run: then the neighbours decide alone. Without neighbours they are taken as
        they are, or sharper, or times the classes' shares, where the given labels are likelier so.
    n_classes : int or None
        Needed only without probabilities.
    neighbours : NeighbourGraph or None
        Over the same rows. Both are fitted to the given labels by one temperature each, joined
        by their geometric mean, and fitted once more.
    block_values : int
        Memory of one block; the answer does not depend on it.

    Returns
    -------
    LabelErrors

    Raises
    ------
    ValueError
        What was given does not fit together, or is no class or probability.

    Examples
    --------
    >>> labels = np.repeat([0, 1], 50)
    >>> probabilities = np.eye(2)[labels] * 0.98 + 0.01
    >>> labels[7] = 1
    >>> np.flatnonzero(find_label_errors(labels, probabilities).is_error)
    array([7])
    """
    labels = _whole(labels)
    if probabilities is not None:
        probabilities = np.asanyarray(probabilities)
        n_classes = n_classes or (probabilities.shape or (0,))[-1]
    if not n_classes:
        raise ValueError("label errors need probabilities, or n_classes and neighbours")
    _check(labels, probabilities, neighbours, n_classes)
    rows = max(1, block_values // max(1, n_classes))
    beliefs: Given | Joined
    if neighbours is None and probabilities is not None:
        beliefs = Given(labels, probabilities, rows)
    else:
        beliefs = Joined(labels, probabilities, neighbours, n_classes, rows)
    suggested, confidence = _tops(beliefs)
    _check_confidence(confidence)
    noise, believed, is_known = _noise(labels, suggested, confidence, n_classes)
    score = _expected_shares(beliefs, labels, suggested, believed)
    if not is_known.all():
        score[~is_known[suggested]] *= 0.99 * ERROR_SHARE
    if not (score >= 0).all():
        raise ValueError("probabilities must not be below 0")
    return LabelErrors(score, score >= ERROR_SHARE, suggested, noise)


def _whole(labels: np.ndarray) -> np.ndarray:
    """Return class indices of a signed type."""
    labels = np.asarray(labels)
    if labels.dtype.kind in "bu" or not labels.size:
        return labels.astype(np.int64)
    if labels.dtype.kind != "i":
        raise ValueError(f"labels must be whole numbers, not {labels.dtype}")
    return labels


def _check_confidence(confidence: np.ndarray) -> None:
    """Refuse what is no probability, by each item's largest: NaN is the largest of all."""
    fits = (confidence >= 0) & (confidence <= 1 + ROUNDED)
    if not fits.all():
        row = int(fits.argmin())
        raise ValueError(
            f"probabilities must be numbers from 0 to 1; the largest of row {row} is "
            f"{confidence[row]:g}"
        )


def _check(
    labels: np.ndarray,
    probabilities: np.ndarray | None,
    neighbours: NeighbourGraph | None,
    n_classes: int,
) -> None:
    if probabilities is None and neighbours is None:
        raise ValueError("label errors need probabilities, neighbours, or both")
    if labels.ndim != 1:
        raise ValueError(f"labels must be one axis, not {labels.ndim}")
    if probabilities is not None and probabilities.dtype.kind not in "biuf":
        raise ValueError(f"probabilities must be numbers, not {probabilities.dtype}")
    if probabilities is not None and probabilities.shape != (len(labels), n_classes):
        raise ValueError(f"probabilities must have shape ({len(labels)}, {n_classes})")
    if neighbours is not None and len(neighbours.indices) != len(labels):
        raise ValueError(f"the neighbour graph must have {len(labels)} rows")
    if n_classes > MOST_CLASSES:
        raise ValueError(f"label errors are looked for among at most {MOST_CLASSES} classes")
    if len(labels) and not -1 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(f"labels must be from -1 to {n_classes - 1}")


def _tops(beliefs: Given | Joined) -> tuple[np.ndarray, np.ndarray]:
    """Return the most probable class of each item and its probability."""
    best = np.empty(len(beliefs), np.int64)
    confidence = np.empty(len(beliefs), np.float32)
    for start, stop, belief in beliefs.blocks():
        best[start:stop], confidence[start:stop] = _largest(belief)
    return best, confidence


def _largest(belief: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the column of each row's largest value, the first of equal ones, and the value."""
    if belief.shape[1] > FEW_CLASSES:
        best = belief.argmax(axis=1)
        return best, _picked(belief, best)
    columns = np.ascontiguousarray(belief.T)
    first, top = np.zeros(len(belief), np.int8), columns[0].copy()
    for place, column in enumerate(columns):
        np.maximum(first, (column > top).view(np.int8) * np.int8(place), out=first)
        np.maximum(top, column, out=top)
    return first, top


def _picked(belief: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return one value of each row."""
    return np.asarray(belief.ravel().take(np.arange(0, belief.size, belief.shape[1]) + columns))


def _expected_shares(
    beliefs: Given | Joined,
    labels: np.ndarray,
    suggested: np.ndarray,
    noise: np.ndarray,
) -> np.ndarray:
    """Return P(label is wrong | label, item) by Bayes' rule; NaN below 0."""
    score, right = np.empty(len(beliefs)), np.empty(len(beliefs), np.float32)
    mistaken = np.empty(noise.shape, np.float32)
    np.multiply(noise.T, beliefs.sizes, out=mistaken, casting="same_kind")
    stays = np.diag(mistaken).copy()
    np.fill_diagonal(mistaken, 0.0)
    of_label = np.empty((min(beliefs.rows, len(beliefs)), len(noise)), np.float32)
    with np.errstate(invalid="ignore"):
        for start, stop, belief in beliefs.odds():
            label = np.maximum(labels[start:stop], 0)
            mistakes = mistaken.take(label, axis=0, out=of_label[: stop - start], mode="clip")
            score[start:stop] = np.einsum("ij,ij->i", belief, mistakes)
            np.multiply(_picked(belief, label), stays[label], out=right[start:stop])
    right += score
    score /= np.maximum(right, np.finfo(np.float32).tiny, out=right)
    # With the model on the label's side there is nothing to suggest, whatever the noise.
    np.minimum(score, 0.99 * ERROR_SHARE, out=score, where=suggested == labels)
    score[labels < 0] = 0.0
    return score


def _noise(
    labels: np.ndarray, suggested: np.ndarray, confidence: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read from the surest items of each predicted class which labels its items are given.

    Returns the noise of each class, what of it is believed of single items, and which classes
    the model knows. A model's own habit of confusing two classes looks like noise between them,
    so believed is a geometric mean with the noise of all classes together. Half a wrong label is
    added to the latter, so that a clean data set is never quite certain to be clean.
    """
    known = np.flatnonzero(labels >= 0)
    most = max(ANCHOR_ROWS, ANCHOR_ROWS_A_CLASS * n_classes)
    known = known[:: max(1, -(-len(known) // most))]
    given, believed = labels[known].astype(np.int64), suggested[known]
    places, sizes = _places(believed, confidence[known], n_classes)
    is_anchor = places < np.ceil(ANCHOR_SHARE * sizes)[believed]
    is_surest = places < np.ceil(ANCHOR_SHARE / 2 * sizes)[believed]
    rate = _rate(believed[is_anchor] != given[is_anchor])
    # From the surest fifth to the surest tenth; the same fall once more leads to the very top.
    # What falls away is the model's own confusion.
    kept = (_rate(believed[is_surest] != given[is_surest]) / rate) ** 2
    shares = np.bincount(given, minlength=n_classes) + 1.0 / n_classes
    wrong = is_anchor & (believed != given)
    shares = _landing(shares, believed[wrong], given[wrong])
    pooled = np.tile(shares, (n_classes, 1))
    np.fill_diagonal(pooled, 0.0)
    pooled *= rate / np.maximum(pooled.sum(axis=1, keepdims=True), LEAST_PROBABILITY)
    np.fill_diagonal(pooled, 1.0 - rate if n_classes > 1 else 1.0)
    cells = believed[is_anchor] * n_classes + given[is_anchor]
    cells, counts = np.unique(cells, return_counts=True)
    expected = pooled.ravel()[cells]
    totals = np.bincount(cells // n_classes, weights=counts, minlength=n_classes)
    weight = _concentration(counts, expected, totals)
    noise = weight * pooled
    noise.ravel()[cells] += counts
    # Where nothing was counted the geometric mean is this share of `pooled`: most cells.
    mean = np.multiply(pooled, weight**BELIEVED, out=pooled)
    mean.ravel()[cells] = noise.ravel()[cells] ** BELIEVED * expected ** (1 - BELIEVED)
    kept = min(1.0, max(LEAST_KEPT, kept))
    totals = noise.sum(axis=1)
    is_known = np.diag(noise) / totals >= LEAST_KNOWN - 1 / np.sqrt(totals)
    return _scaled(noise, kept), _scaled(mean, kept), is_known


def _landing(shares: np.ndarray, true: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Return how often each class is given wrongly: the power of its share that fits best."""

    def fit(power: float) -> float:
        landing = shares**power
        landing = landing / landing.sum()
        return float(np.log(landing[given] / (1.0 - landing[true])).sum())

    return np.asarray(shares ** max(LANDING_POWERS, key=fit))


def _scaled(noise: np.ndarray, kept: float) -> np.ndarray:
    """Make rows sum to 1 and keep a share of what is beside the diagonal, in place."""
    noise *= kept / noise.sum(axis=1, keepdims=True)
    np.fill_diagonal(noise, 0.0)
    np.fill_diagonal(noise, 1.0 - noise.sum(axis=1))
    return noise


def _rate(disagrees: np.ndarray) -> float:
    return (np.count_nonzero(disagrees) + 0.5) / (len(disagrees) + 1.0)


def _places(
    suggested: np.ndarray, confidence: np.ndarray, n_classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return each item's place in its predicted class, 0 is the surest, and the classes' sizes."""
    order = np.argsort(-confidence, kind="stable")
    order = order[np.argsort(suggested[order].astype(np.int16), kind="stable")]
    sizes = np.bincount(suggested, minlength=n_classes)
    begin = np.cumsum(sizes) - sizes
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - begin[suggested[order]]
    return places, sizes


def _concentration(counts: np.ndarray, expected: np.ndarray, totals: np.ndarray) -> float:
    """Return the weight of what is expected, in items, that makes the counts likeliest.

    Parameters
    ----------
    counts : int ndarray of shape (n_cells,)
        Cells of the noise matrix where something was counted.
    expected : float ndarray of shape (n_cells,)
        Mean of the Dirichlet distribution that the rows of noise come from.
    totals : float ndarray of shape (n_classes,)
        What was counted in each row.
    """
    from scipy.special import gammaln

    def log_likelihood(weight: float) -> float:
        rows = gammaln(weight) - gammaln(weight + totals)
        cells = gammaln(weight * expected + counts) - gammaln(weight * expected)
        return float(rows.sum() + cells.sum())

    return float(max(CONCENTRATIONS, key=log_likelihood))
