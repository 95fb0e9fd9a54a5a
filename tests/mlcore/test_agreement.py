"""Alpha is what Krippendorff published, and its limits hold the truth."""

import numpy as np
import pytest

from mlcore.agreement import Agreement, Level, agreement, tells
from tests.mlcore.crowds import coins, crowd_of


def rated(*lines: str, level: Level = "nominal") -> Agreement:
    """Return the agreement of observers given as lines, a digit a unit, a dot where missing."""
    said = [
        (unit, observer, int(code))
        for observer, line in enumerate(lines)
        for unit, code in enumerate(line.replace(" ", ""))
        if code != "."
    ]
    items, annotators, answers = np.array(said).T
    return agreement(
        items, annotators, answers, n_classes=6, level=level, rng=np.random.default_rng(0)
    )


EXAMPLE_C = (
    "1233214 12...",
    "1233224 125.3",
    ".333234 2251.",
    "1233244 1251.",
)


def test_published_binary_example() -> None:
    found = rated("0100000010", "1110010000")
    assert found.alpha.value == pytest.approx(0.095, abs=5e-4)
    assert found.meaning == "poor"


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815)])
def test_published_example_with_missing_answers(level: Level, alpha: float) -> None:
    found = rated(*EXAMPLE_C, level=level)
    assert found.alpha.value == pytest.approx(alpha, abs=5e-4)
    assert found.n_items == 11
    assert found.alpha.low < alpha < found.alpha.high


def test_annotators_weighed_by_their_answers_make_the_whole() -> None:
    found = rated(*EXAMPLE_C)
    answered = np.array([9, 11, 10, 11]) - np.array([0, 1, 0, 0])  # one unit has one answer
    mean = np.average([person.value for person in found.by_annotator], weights=answered)
    assert mean == pytest.approx(found.alpha.value, abs=0.01)


def test_a_spammer_and_a_class_that_nobody_can_tell_stand_out() -> None:
    rng = np.random.default_rng(1)
    matrices = coins([0.9] * 5 + [1 / 3], n_classes=3)
    matrices[:5, 2] = [0.1, 0.45, 0.45]
    matrices[:5, 1] = [0.1, 0.45, 0.45]
    crowd = crowd_of(matrices, n_items=500, answers_an_item=4, rng=rng)
    found = agreement(*crowd[1:4], n_classes=3, rng=rng)
    assert np.argmin([person.value for person in found.by_annotator]) == 5
    assert abs(found.by_annotator[5].value) < 0.1
    assert found.by_class[0].low > found.by_class[1].high


def test_the_limits_hold_what_very_many_items_would_give() -> None:
    rng = np.random.default_rng(2)
    matrices = coins([0.9, 0.8, 0.7, 0.7], n_classes=3)
    many = crowd_of(matrices, n_items=40_000, answers_an_item=3, rng=rng)
    truth = agreement(*many[1:4], n_classes=3, rng=rng, resamples=10).alpha.value
    held = 0
    for _ in range(60):
        few = crowd_of(matrices, n_items=150, answers_an_item=3, rng=rng)
        alpha = agreement(*few[1:4], n_classes=3, rng=rng, resamples=200).alpha
        held += alpha.low <= truth <= alpha.high
    assert held >= 53


@pytest.mark.parametrize(("n_items", "meaning"), [(4, "unknown"), (40, "reliable")])
def test_full_agreement_on_few_items_is_not_taken_for_certain(n_items: int, meaning: str) -> None:
    classes = np.repeat(np.arange(n_items) % 2, 2)
    said = np.repeat(np.arange(n_items), 2), np.tile([0, 1], n_items), classes
    found = agreement(*said, n_classes=2, rng=np.random.default_rng(0))
    for alpha in (found.alpha, *found.by_class, *found.by_annotator):
        assert alpha.value == alpha.high == 1
        assert alpha.low < 0.9
        assert tells(alpha.low, alpha.high) == (meaning != "unknown")
    assert found.meaning == meaning


@pytest.mark.parametrize("disagreeing", [0.02, 0.3])
def test_the_limits_of_somebody_with_few_answers_hold_what_many_would_give(
    disagreeing: float,
) -> None:
    rng = np.random.default_rng(3)
    matrices = coins([0.97, 0.97, 1 - disagreeing], n_classes=3)
    many = crowd_of(matrices, n_items=40_000, answers_an_item=3, rng=rng)
    truth = agreement(*many[1:4], n_classes=3, rng=rng, resamples=10).by_annotator[2].value
    held = 0
    for _ in range(60):
        few = crowd_of(matrices, n_items=12, answers_an_item=3, rng=rng)
        alpha = agreement(*few[1:4], n_classes=3, rng=rng, resamples=100).by_annotator[2]
        held += alpha.low <= truth <= alpha.high
    assert held >= 53


def test_without_two_answers_to_an_item_nothing_is_said() -> None:
    alone = agreement(
        np.arange(3),
        np.zeros(3, int),
        np.array([0, 1, 1]),
        n_classes=2,
        rng=np.random.default_rng(0),
    )
    assert alone.meaning == "unknown"
    assert np.isnan(alone.by_annotator[0].value)


def test_one_class_for_everything_says_nothing_about_agreement() -> None:
    said = np.repeat(np.arange(4), 2), np.tile([0, 1], 4), np.zeros(8, int)
    assert agreement(*said, n_classes=2, rng=np.random.default_rng(0)).meaning == "unknown"
