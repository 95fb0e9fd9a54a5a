"""Asking stops when the answers to an item suffice, and saves work at equal accuracy."""

import numpy as np
import pytest

from mlcore.consensus import aggregate
from mlcore.stopping import Crowd, crowd_from_gold, standing
from tests.mlcore.crowds import Crowd as Said
from tests.mlcore.crowds import mixed_crowd


def gold_crowd(*right_of_ten: int, n_classes: int = 3) -> Crowd:
    right = np.array(right_of_ten)
    return crowd_from_gold(right, np.full(len(right), 10), n_classes=n_classes)


def test_two_good_annotators_who_agree_suffice_and_two_bad_ones_do_not() -> None:
    both, same = np.array([0, 1]), np.array([2, 2])
    assert standing(both, same, crowd=gold_crowd(9, 9), least=2, most=5).enough
    assert not standing(both, same, crowd=gold_crowd(4, 4), least=2, most=5).enough


def test_least_and_most_hold_whatever_is_believed() -> None:
    crowd = gold_crowd(10, 10, 10)
    assert not standing(np.array([0]), np.array([1]), crowd=crowd, least=2, most=5).enough
    split = standing(np.arange(3), np.array([0, 1, 2]), crowd=crowd, least=1, most=3)
    assert split.enough
    assert split.label == -1


def test_a_newcomer_counts_like_the_crowd_and_unsure_counts_as_asked() -> None:
    crowd = gold_crowd(9, 9)
    known = standing(np.array([0]), np.array([1]), crowd=crowd, least=1, most=3)
    newcomer = standing(np.array([17]), np.array([1]), crowd=crowd, least=1, most=3)
    assert newcomer.label == known.label == 1
    assert newcomer.confidence < known.confidence
    unsure = standing(np.array([0, 1]), np.array([-1, -1]), crowd=crowd, least=1, most=2)
    assert (unsure.label, unsure.enough) == (-1, True)


def test_a_model_that_is_sure_saves_an_answer() -> None:
    crowd = gold_crowd(6, n_classes=2)
    one = np.array([0]), np.array([1])
    assert not standing(*one, crowd=crowd, least=1, most=3).enough
    assert standing(*one, crowd=crowd, least=1, most=3, prior=np.array([0.1, 0.9])).enough


def test_bounds_that_contradict_are_refused() -> None:
    with pytest.raises(ValueError, match="the most cannot be below the least"):
        standing(np.array([0]), np.array([0]), crowd=gold_crowd(5), least=3, most=2)


def spend(crowd: Said, *, learned: int, least: int, most: int, confident: float) -> np.ndarray:
    """Return which answers are asked for, where each item is asked about until it is sure.

    The first `learned` items are asked about five times, to get to know the people.
    """
    place = np.arange(len(crowd.items)) - np.searchsorted(crowd.items, crowd.items)
    asked = (crowd.items < learned) & (place < 5)
    first = (column[asked] for column in (crowd.items, crowd.annotators, crowd.answers))
    found = aggregate(*first, n_classes=crowd.n_classes)
    assert found.confusion is not None
    people = Crowd(found.confusion, found.confusion.mean(axis=0), found.class_shares)
    for item in range(learned, len(crowd.truth)):
        rows = np.flatnonzero(crowd.items == item)
        for count in range(1, most + 1):
            said = crowd.annotators[rows[:count]], crowd.answers[rows[:count]]
            asked[rows[:count]] = True
            if standing(*said, crowd=people, least=least, most=most, confident=confident).enough:
                break
    return asked


@pytest.mark.parametrize("n_classes", [2, 5])
def test_stopping_when_sure_spends_fewer_answers_at_equal_accuracy(n_classes: int) -> None:
    """Good, biased, lazy, spamming and alternating people; 5 answers, or 2 to 8 until sure."""
    rng = np.random.default_rng(n_classes)
    crowd = mixed_crowd(n_items=1000, answers_an_item=8, n_classes=n_classes, rng=rng)
    said = (crowd.items, crowd.annotators, crowd.answers)
    asked = spend(crowd, learned=100, least=2, most=8, confident=0.95)
    five = np.arange(len(crowd.items)) % 8 < 5
    sparing, fixed = (
        aggregate(*(column[kept] for column in said), n_classes=n_classes) for kept in (asked, five)
    )
    assert asked.sum() < 0.85 * five.sum()
    assert crowd.right(sparing.label) >= crowd.right(fixed.label)
