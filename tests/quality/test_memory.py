"""The leakage check says once how much of a score memory can buy."""

from dataclasses import replace

import numpy as np
import pytest

from labeling import shards
from quality.doubts.memory import say_what_memory_buys
from quality.queries.survey import Survey, survey_of
from tests.factories import make_dataset, make_item

pytestmark = pytest.mark.django_db
ITEMS = 120


def make_survey(*, groups: int, validation: bool = False) -> Survey:
    """Items of two classes; those of a source look alike within their class."""
    dataset = make_dataset()
    rng = np.random.default_rng(0)
    for number in range(ITEMS):
        split = "validation" if validation and number % 3 == 2 else "train"
        source = f"s{number % groups}" if groups else ""
        make_item(
            dataset, f"{number:03}", ("cat", "dog")[number // 60], split=split, source_group=source
        )
    survey = survey_of(dataset)
    looks = rng.normal(size=(max(groups, 1), 2, 40))
    vectors = rng.normal(size=(ITEMS, 40))
    if groups:
        vectors += 4 * looks[np.arange(ITEMS) % groups, survey.labels]
    backbone = f"planted-{dataset.pk}"
    shards.save_features(backbone, survey.hashes, vectors=vectors)
    return replace(survey, backbone=backbone)


def test_sources_that_a_plain_split_tears_are_told_with_the_figure_and_chance():
    told = say_what_memory_buys(make_survey(groups=10))
    assert told.startswith("In a split that ignores copies and sources memory would buy")
    assert "of 120 items" in told
    assert "chance .500" in told


def test_splits_that_tear_sources_are_judged_as_they_are():
    told = say_what_memory_buys(make_survey(groups=10, validation=True))
    assert told.startswith("In these splits memory buys")
    assert "of 40 items" in told


def test_without_sources_and_copies_nothing_is_said():
    assert say_what_memory_buys(make_survey(groups=0)) == ""


def test_test_items_stay_sealed():
    survey = make_survey(groups=10)
    sealed = replace(survey, splits=np.full(ITEMS, "test", dtype="U12"))
    assert say_what_memory_buys(sealed) == ""
