"""Whether two confusion matrices confuse the same pairs of classes."""

import numpy as np
import pytest

from mlcore.confusion import pair_rates, same_pairs


def confused(rng: np.random.Generator, rates: np.ndarray, *, items: int = 60) -> np.ndarray:
    """Counts of a reader whose chances of taking a class for another are given."""
    chances = rates.copy()
    np.fill_diagonal(chances, 1 - rates.sum(axis=1))
    return np.array([rng.multinomial(items, row) for row in chances])


def random_rates(rng: np.random.Generator, n_classes: int) -> np.ndarray:
    rates = np.triu(rng.exponential(0.03, (n_classes, n_classes)), k=1)
    rates = rates + rates.T
    return rates / max(1.0, 2 * rates.sum(axis=1).max())


def test_readers_with_the_same_confusions_are_alike():
    rng = np.random.default_rng(1)
    rates = random_rates(rng, 10)
    value, by_chance = same_pairs(confused(rng, rates), confused(rng, rates), rng=rng)
    assert value > 0.3
    assert by_chance < 0.01


def test_readers_with_unrelated_confusions_seldom_look_alike():
    rng = np.random.default_rng(2)
    draws = [
        same_pairs(
            confused(rng, random_rates(rng, 8)), confused(rng, random_rates(rng, 8)), rng=rng
        )
        for _draw in range(60)
    ]
    assert sum(by_chance < 0.05 for _value, by_chance in draws) <= 8  # 3 expected


@pytest.mark.parametrize(
    "matrix", [np.eye(3, dtype=int) + 1, np.eye(6, dtype=int), np.zeros((6, 6), int)]
)
def test_too_few_classes_or_mistakes_say_nothing(matrix):
    assert same_pairs(matrix, matrix, rng=np.random.default_rng(0)) is None


def test_rates_count_both_ways_over_the_items_of_both():
    rates = pair_rates(np.array([[8, 2, 0], [4, 6, 0], [0, 0, 5]]))
    assert rates[0, 1] == rates[1, 0] == pytest.approx(6 / 20)
    assert not rates[2].any()
    assert not np.diagonal(rates).any()
