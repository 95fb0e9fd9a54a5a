"""Decide after each answer to an item whether to ask one person more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CONFIDENT = 0.8
"""Confidence at which Toloka advises to stop (its "dynamic overlap")."""

GOLD_ANSWERS = 0.5
"""Toloka's K: an annotator without gold is taken to be right half of the time, by 2 K answers."""


@dataclass(frozen=True)
class Standing:
    """What the answers to one item say so far.

    Attributes
    ----------
    label : int
        Most probable class; -1 without answers or where two are equally probable.
    confidence : float
        Its probability, 0 to 1.
    enough : bool
        Nobody else need be asked.
    """

    label: int
    confidence: float
    enough: bool


@dataclass(frozen=True)
class Crowd:
    """Who answers how, as known when an item is asked about.

    Attributes
    ----------
    confusion : float ndarray of shape (n_annotators, n_classes, n_classes)
        P(answer | class) of each annotator; rows are classes.
    newcomer : float ndarray of shape (n_classes, n_classes)
        That of somebody who is not among them.
    class_shares : float ndarray of shape (n_classes,)
        P(class) before any answer.
    """

    confusion: np.ndarray
    newcomer: np.ndarray
    class_shares: np.ndarray


def crowd_from_gold(right: np.ndarray, given: np.ndarray, *, n_classes: int) -> Crowd:
    """Return what gold alone tells, as Toloka does, before there is any consensus.

    Parameters
    ----------
    right, given : int ndarray of shape (n_annotators,)
        Gold items answered rightly, and at all.
    n_classes : int

    Returns
    -------
    Crowd
        P(right) = (K + right) / (2 K + given); wrong answers spread evenly, all classes alike.
    """
    share = (GOLD_ANSWERS + right) / (2 * GOLD_ANSWERS + given)
    confusion = np.stack([_coin(float(each), n_classes) for each in share])
    return Crowd(confusion, _coin(0.5, n_classes), np.full(n_classes, 1.0 / n_classes))


def standing(
    annotators: np.ndarray,
    answers: np.ndarray,
    *,
    crowd: Crowd,
    least: int,
    most: int,
    confident: float = CONFIDENT,
    prior: np.ndarray | None = None,
) -> Standing:
    """Return label and confidence of one item from its answers, and whether they are enough.

    Costs one product of a few numbers per class: nothing is fitted.

    Parameters
    ----------
    annotators, answers : int ndarrays of shape (n_answers,)
        Who said what; each annotator once. -1 or an id beyond the crowd is a newcomer. An
        answer of -1 (unsure, unusable) names no class, but has been asked for.
    crowd : Crowd
    least, most : int
        Answers below which nobody stops, and at which everybody does.
    confident : float
        Probability of the most probable class at which to stop.
    prior : float ndarray of shape (n_classes,) or None
        A model's calibrated probabilities for the item, instead of the class shares.

    Returns
    -------
    Standing

    Examples
    --------
    Two people who are right in 9 of 10 cases agree; a third is not needed.

    >>> crowd = crowd_from_gold(np.array([9, 9]), np.array([10, 10]), n_classes=2)
    >>> found = standing(np.array([0, 1]), np.array([1, 1]), crowd=crowd, least=2, most=5)
    >>> found.label, round(found.confidence, 3), found.enough
    (1, 0.976, True)
    """
    if not 1 <= least <= most:
        raise ValueError("at least one answer is needed, and the most cannot be below the least")
    named = answers >= 0
    people, said = annotators[named], answers[named]
    known = (people >= 0) & (people < len(crowd.confusion))
    likelihood = crowd.newcomer[:, said].T.copy()
    likelihood[known] = crowd.confusion[people[known], :, said[known]]
    log = np.log(likelihood).sum(axis=0) + np.log(crowd.class_shares if prior is None else prior)
    posterior = np.exp(log - log.max())
    posterior /= posterior.sum()
    confidence = float(posterior.max())
    tied = (posterior > confidence - 1e-9).sum() > 1
    label = int(posterior.argmax()) if len(said) and not tied else -1
    sure = label >= 0 and confidence >= confident
    return Standing(label, confidence, len(answers) >= most or (sure and len(answers) >= least))


def _coin(right: float, n_classes: int) -> np.ndarray:
    matrix = np.full((n_classes, n_classes), (1 - right) / max(1, n_classes - 1))
    np.fill_diagonal(matrix, right)
    return matrix
