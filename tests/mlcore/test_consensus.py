"""Consensus follows the annotators who are right, and never invents an answer."""

import csv
import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlcore.consensus import dawid_skene, majority

SHARED = Path(
    os.environ.get("WINNOW_SHARED", Path(__file__).resolve().parents[2].parent / "shared")
)


def crowd_of(
    skills: list[float], *, n_items: int, n_classes: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Everybody answers every item; a wrong answer is any other class."""
    truth = rng.integers(0, n_classes, n_items)
    item = np.repeat(np.arange(n_items), len(skills))
    annotator = np.tile(np.arange(len(skills)), n_items)
    wrong = (truth[item] + rng.integers(1, n_classes, len(item))) % n_classes
    right = rng.random(len(item)) < np.array(skills)[annotator]
    return truth, item, annotator, np.where(right, truth[item], wrong)


def read_crowd(name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, int]:
    folder = SHARED / "data" / "crowd" / name
    if not folder.exists():
        pytest.skip(f"real crowd answers are absent: set WINNOW_SHARED (looked in {folder})")
    packed = folder / "answers.csv.gz"
    with gzip.open(packed, "rt") if packed.exists() else (folder / "answers.csv").open() as file:
        rows = {
            (row["item"], row["worker"]): row["label"] for row in reversed([*csv.DictReader(file)])
        }
    with (folder / "truth.csv").open() as file:
        truth_of = {row["item"]: row["label"] for row in csv.DictReader(file)}
    items, item = np.unique([key[0] for key in rows], return_inverse=True)
    annotator = np.unique([key[1] for key in rows], return_inverse=True)[1]
    classes, answer = np.unique([*rows.values()], return_inverse=True)
    places = {str(label): place for place, label in enumerate(classes)}
    truth = np.array([places.get(truth_of.get(str(name), ""), -1) for name in items])
    return truth, item, annotator, answer, len(classes)


def test_one_skilled_annotator_beats_two_who_guess() -> None:
    rng = np.random.default_rng(1)
    truth, item, annotator, answer = crowd_of(
        [0.95, 0.4, 0.4, 0.4], n_items=400, n_classes=4, rng=rng
    )
    weighed = dawid_skene(item, annotator, answer, n_classes=4)
    counted = majority(item, annotator, answer, n_classes=4)
    assert (weighed.label == truth).mean() > (counted.label == truth).mean() + 0.1
    assert weighed.annotator_quality.argmax() == 0


def test_an_annotator_who_swaps_two_classes_still_informs() -> None:
    rng = np.random.default_rng(2)
    truth, item, annotator, answer = crowd_of([0.9, 0.8, 0.8], n_items=600, n_classes=3, rng=rng)
    swaps = (annotator == 0) & (answer < 2)
    answer = np.where(swaps, 1 - answer, answer)
    weighed = dawid_skene(item, annotator, answer, n_classes=3)
    counted = majority(item, annotator, answer, n_classes=3)
    assert (weighed.label == truth).mean() > (counted.label == truth).mean() + 0.05


def test_an_item_without_answers_has_no_label() -> None:
    result = dawid_skene(
        np.array([0, 0, 2]), np.array([0, 1, 0]), np.array([1, 1, 0]), n_classes=2, n_items=4
    )
    assert result.label.tolist() == [1, -1, 0, -1]
    assert result.confidence[[1, 3]].tolist() == [0.0, 0.0]


def test_no_answers_at_all_give_no_labels() -> None:
    empty = np.zeros(0, int)
    for method in (majority, dawid_skene):
        assert method(empty, empty, empty, n_classes=3, n_items=2).label.tolist() == [-1, -1]


def test_answers_beyond_the_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="answers from 0 to 1"):
        majority(np.array([0]), np.array([0]), np.array([2]), n_classes=2)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(1, 5), n_answers=st.integers(1, 40))
def test_probabilities_are_probabilities_and_the_order_of_answers_is_no_matter(
    seed: int, n_classes: int, n_answers: int
) -> None:
    rng = np.random.default_rng(seed)
    item, annotator = rng.integers(0, 8, n_answers), rng.integers(0, 4, n_answers)
    answer = rng.integers(0, n_classes, n_answers)
    result = dawid_skene(item, annotator, answer, n_classes=n_classes)
    assert np.allclose(result.probabilities.sum(axis=1), 1.0)
    order = rng.permutation(n_answers)
    again = dawid_skene(item[order], annotator[order], answer[order], n_classes=n_classes)
    assert np.allclose(result.probabilities, again.probabilities, atol=1e-2)


@pytest.mark.parametrize(
    ("name", "least"),
    [("rte", 0.92), ("web", 0.81), ("bluebird", 0.88), ("weather_cf", 0.87), ("barzan", 0.70)],
)
def test_real_crowds_are_judged_as_well_as_by_the_best_known_method(
    name: str, least: float
) -> None:
    truth, item, annotator, answer, n_classes = read_crowd(name)
    result = dawid_skene(item, annotator, answer, n_classes=n_classes)
    known = truth >= 0
    assert (result.label[known] == truth[known]).mean() >= least
