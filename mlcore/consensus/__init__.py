"""Infer one label per item from the answers of several annotators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mlcore.consensus.answers import UNKNOWN, Answers, checked
from mlcore.consensus.dawid_skene import DawidSkene
from mlcore.consensus.fitting import (
    ROUNDS,
    SHARED_ROUNDS,
    TRIAL_ROUNDS,
    Fit,
    best_strength,
    fit,
    fit_matrices,
    foretold,
    improve,
)
from mlcore.consensus.item_prior import ItemPrior
from mlcore.consensus.one_coin import OneCoin

Method = Literal["auto", "majority", "one_coin", "dawid_skene"]

TIED = 1e-9
"""Two classes whose probabilities differ by less are equally probable."""

MOST_CELLS = 20_000_000
"""Most numbers in all confusion matrices together (160 MB); beyond, they are not estimated."""

GREW = 1.5
"""A choice made earlier is kept until there are this many times as many answers."""


@dataclass(frozen=True)
class Setting:
    """The part of a consensus that a later one of the same crowd starts from.

    Attributes
    ----------
    method, strength, why, n_answers
        As in `Consensus`.
    """

    method: str
    strength: float | None
    why: str
    n_answers: int


@dataclass(frozen=True)
class Consensus:
    """What the annotators say together.

    Attributes
    ----------
    posterior : float64 ndarray of shape (n_items, n_classes)
        P(class | answers); rows sum to 1. Without answers, what is believed beforehand.
    label : int64 ndarray of shape (n_items,)
        Most probable class; -1 where nobody answered and where two are equally probable.
    confidence : float64 ndarray of shape (n_items,)
        Probability of the most probable class; 0 where nobody answered.
    confusion : float64 ndarray of shape (n_annotators, n_classes, n_classes) or None
        P(answer | class) of each annotator, rows are classes; None where it would not fit
        into memory.
    accuracy, accuracy_low, accuracy_high : float64 ndarray of shape (n_annotators,)
        Expected share of right answers with 95 % limits; nan for those without answers.
    class_shares : float64 ndarray of shape (n_classes,)
        P(class) of an item before its answers.
    method : str
        "majority", "one_coin" or "dawid_skene".
    strength : float or None
        Answers per class by which confusion matrices are shrunk to the crowd's; Dawid-Skene only.
    model_weight : float or None
        What the model's log probabilities are multiplied by; None without a model.
    why : str
        Why this method, in a sentence.
    n_answers : int
        Answers that count: a person's repetition of an item does not.
    """

    posterior: np.ndarray
    label: np.ndarray
    confidence: np.ndarray
    confusion: np.ndarray | None
    accuracy: np.ndarray
    accuracy_low: np.ndarray
    accuracy_high: np.ndarray
    class_shares: np.ndarray
    method: str
    strength: float | None
    model_weight: float | None
    why: str
    n_answers: int


def aggregate(
    items: np.ndarray,
    annotators: np.ndarray,
    answers: np.ndarray,
    *,
    n_classes: int,
    method: Method = "auto",
    probabilities: np.ndarray | None = None,
    gold: np.ndarray | None = None,
    start: Consensus | Setting | None = None,
    n_items: int | None = None,
) -> Consensus:
    """Infer the label of each item from who said what.

    Parameters
    ----------
    items, annotators, answers : int ndarrays of shape (n_answers,)
        One entry an answer, all counted from 0; ids may have gaps. Of several answers of an
        annotator to an item the first counts. Leave out who was unsure.
    n_classes : int
    method : {"auto", "majority", "one_coin", "dawid_skene"}
        "auto" takes the method, and the shrinkage of confusion matrices, by which each answer
        is best foretold from the other answers to its item. The truth is never looked at.
    probabilities : float ndarray of shape (n_items, n_classes) or None
        A model's, out of sample. They are calibrated on the answers and joined with them.
    gold : int ndarray of shape (n_items,) or None
        The class where it is known, else -1. Gold items keep it, whatever people answer.
    start : Consensus or Setting or None
        An earlier one of the same crowd, whose method and shrinkage are taken over instead of
        chosen again, unless there are half as many answers more by now.
    n_items : int or None
        Number of items, where the last ones have no answers.

    Returns
    -------
    Consensus
        The order of answers and the numbering of people, items and classes do not matter.

    Raises
    ------
    ValueError
        Where arrays do not fit together.

    Examples
    --------
    Two annotators who agree with each other everywhere outweigh a third who guesses.

    >>> items = np.repeat(np.arange(20), 3)
    >>> annotators = np.tile([0, 1, 2], 20)
    >>> answers = np.stack([np.arange(20) % 2] * 2 + [np.arange(20) // 10]).T.ravel()
    >>> found = aggregate(items, annotators, answers, n_classes=2)
    >>> bool((found.label == np.arange(20) % 2).all()), found.accuracy.round(1)
    (True, array([1. , 1. , 0.5]))
    """
    said = checked(
        items,
        annotators,
        answers,
        n_classes=n_classes,
        n_items=n_items,
        probabilities=probabilities,
        gold=gold,
    )
    prior = ItemPrior(said, probabilities=probabilities, flat=method == "majority")
    if method == "auto":
        return _consensus(*_choose(said, prior, start))
    if method == "dawid_skene":
        return _consensus(best_strength(said, prior)[0], "asked for")
    if method in ("majority", "one_coin"):
        return _consensus(fit(OneCoin(said, common=method == "majority"), prior), "asked for")
    raise ValueError(f"unknown method {method!r}")


def _choose(
    answers: Answers, prior: ItemPrior, start: Consensus | Setting | None
) -> tuple[Fit, str]:
    if not answers.overlap():
        why = "no item shows two answers, so nobody can be compared with anybody"
        return fit(OneCoin(answers, common=True), prior), why
    if start is not None and len(answers.item) <= GREW * start.n_answers:
        return _as_before(answers, prior, start)
    coin = fit(OneCoin(answers), prior, rounds=SHARED_ROUNDS + TRIAL_ROUNDS)
    left = ROUNDS - SHARED_ROUNDS - TRIAL_ROUNDS
    if answers.n_annotators * answers.n_classes**2 > MOST_CELLS:
        why = "there are too many classes and people for confusion matrices"
        return improve(coin, rounds=left), why
    matrices, by_matrices = best_strength(answers, prior)
    by_coin = foretold(coin)
    gain = by_matrices - by_coin
    # Matrices have more to fit with, so that they must do better than chance lets them.
    sure = gain.mean() > gain.std() / np.sqrt(len(gain))
    return matrices if sure else improve(coin, rounds=left), (
        "each answer's log likelihood, given the others to its item, is "
        f"{by_matrices.mean():.3f} by confusion matrices and {by_coin.mean():.3f} by one number "
        f"per person; {'a sure' if sure else 'no sure'} gain"
    )


def _as_before(answers: Answers, prior: ItemPrior, start: Consensus | Setting) -> tuple[Fit, str]:
    why = f"kept from before: {start.why.removeprefix('kept from before: ')}"
    if start.strength is not None:
        return fit_matrices(answers, prior, strength=start.strength), why
    return fit(OneCoin(answers, common=start.method == "majority"), prior), why


def _consensus(fitted: Fit, why: str) -> Consensus:
    crowd, belief = fitted.crowd, fitted.belief
    answers = crowd.answers
    accuracy, low, high = _accuracies(answers, belief)
    spoken_for = answers.spoken_for()
    few_enough = answers.n_annotators * answers.n_classes**2 <= MOST_CELLS
    method, strength = _setting(crowd)
    return Consensus(
        posterior=belief,
        label=np.where(spoken_for, _untied(belief), UNKNOWN),
        confidence=np.where(spoken_for, belief.max(axis=1, initial=0.0), 0.0),
        confusion=crowd.confusion() if few_enough else None,
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        class_shares=fitted.prior.shares,
        method=method,
        strength=strength,
        model_weight=None if fitted.prior.log_model is None else fitted.prior.weight,
        why=why,
        n_answers=len(answers.item),
    )


def _setting(crowd: OneCoin | DawidSkene) -> tuple[str, float | None]:
    if isinstance(crowd, DawidSkene):
        return "dawid_skene", crowd.strength
    return ("majority" if crowd.common else "one_coin"), None


def _untied(belief: np.ndarray) -> np.ndarray:
    """Return the most probable class of each item, -1 where two are equally probable."""
    if belief.shape[1] < 2:
        return np.zeros(len(belief), np.int64)
    second, first = np.partition(belief, -2, axis=1)[:, -2:].T
    return np.where(first - second > TIED, belief.argmax(axis=1), UNKNOWN)


def _accuracies(answers: Answers, belief: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shares of right answers with 95 % limits.

    Jeffreys limits (Brown et al. 2001, doi:10.1214/ss/1009213286) of as many answers as there
    are once those are taken off that are lost by not knowing the truth (Louis 1982: the
    missing information is the variance that the beliefs leave).
    """
    from scipy.special import betaincinv

    given = np.bincount(answers.annotator, minlength=answers.n_annotators).astype(np.float64)
    own = belief[answers.item, answers.answer]
    right = np.minimum(np.bincount(answers.annotator, own, answers.n_annotators), given)
    nobody = given == 0
    share = np.divide(right, given, out=np.full(len(given), np.nan), where=~nobody)
    unsure = np.bincount(answers.annotator, own * (1.0 - own), answers.n_annotators)
    # Half an answer either way: who is nearly surely right everywhere has no variance left.
    variance = (right + 0.5) * (given - right + 0.5) / (given + 1.0)
    known = np.maximum(1.0 - unsure / variance, 0.0) * given
    low, high = (
        np.where(nobody, np.nan, betaincinv(share * known + 0.5, (1 - share) * known + 0.5, tail))
        for tail in (0.025, 0.975)
    )
    return share, np.minimum(low, share), np.maximum(high, share)
