"""Estimate how much a shown suggestion pulls people towards it."""

from __future__ import annotations

import numpy as np

from mlcore.intervals import COVERAGE, Interval

LEAST_CLUSTERS = 2


def suggestion_pull(
    shown: np.ndarray, followed: np.ndarray, annotators: np.ndarray
) -> Interval | None:
    """Return the share of answers that became the suggestion because it was shown.

    Who sees a suggestion is taken to adopt it unseen with a probability, the pull, and to
    answer as without it otherwise: then 1 - pull is the share that does not name the
    suggestion where it is shown, divided by that share where it is hidden.

    Parameters
    ----------
    shown : bool ndarray of shape (n_answers,)
        Whether the suggestion was shown before the answer; drawn at random, by item or answer.
    followed : bool ndarray of shape (n_answers,)
        Whether the answer is the suggestion, shown or not.
    annotators : int ndarray of shape (n_answers,)
        Answers of one person are no independent evidence: the limits are those of people
        (linearised ratio, one cluster per person; Cochran 1977, "Sampling Techniques", 6.3).

    Returns
    -------
    Interval or None
        0 nobody is moved, 1 everybody says what is suggested; below 0 they shy away from it.
        None where either kind is missing, or nobody ever differs from the hidden suggestion,
        or fewer than two people answered.

    Examples
    --------
    >>> shown = np.repeat([True, False], 100)
    >>> followed = np.concatenate([np.arange(100) < 85, np.arange(100) < 70])
    >>> found = suggestion_pull(shown, followed, np.arange(200) % 10)
    >>> round(found.value, 2), found.low < 0.5 < found.high
    (0.49, True)
    """
    from scipy.stats import t as student

    shown, differs = np.asarray(shown, bool), ~np.asarray(followed, bool)
    people = np.unique(annotators, return_inverse=True)[1]
    n_people = int(people.max(initial=-1)) + 1
    if n_people < LEAST_CLUSTERS or shown.all() or not differs[~shown].any():
        return None
    if not shown.any():
        return None
    # Half an answer each keeps the logarithm finite where everybody follows what is shown.
    with_it = (differs[shown].sum() + 0.5) / (shown.sum() + 1.0)
    without = (differs[~shown].sum() + 0.5) / ((~shown).sum() + 1.0)
    moved = np.where(
        shown,
        (differs - with_it) / (shown.sum() * with_it),
        -(differs - without) / ((~shown).sum() * without),
    )
    by_person = np.bincount(people, moved)
    spread = np.sqrt((by_person**2).sum() * n_people / (n_people - 1))
    reach = float(student.ppf((1 + COVERAGE) / 2, n_people - 1)) * spread
    log_ratio = np.log(with_it / without)
    value, low, high = (1.0 - np.exp(log_ratio + step) for step in (0.0, reach, -reach))
    return Interval(float(value), float(low), float(high))
