"""A file in an order is said once of the dataset, on Checks."""

import numpy as np
import pytest

from mlcore.neighbours import nearest
from quality.doubts.order import say_in_what_order
from quality.queries.survey import Survey, survey_of
from tests.factories import make_dataset, make_item

pytestmark = pytest.mark.django_db


def make_file(labels: list[str], *, folder: bool = False) -> Survey:
    """Items imported in this order, under names in another order."""
    dataset = make_dataset()
    names = np.random.default_rng(1).permutation(len(labels))
    for number, label in zip(names.tolist(), labels, strict=True):
        make_item(dataset, f"{label}/{number:03}.png" if folder else f"{number:03}.png", label)
    return survey_of(dataset)


def test_a_sorted_file_is_told_and_class_folders_are_not():
    labels = ["cat"] * 30 + ["dog"] * 30
    told = say_in_what_order(make_file(labels))
    assert told.startswith("Items of one class stand together in the file (100 in 100")
    assert "divide at random" in told
    assert not say_in_what_order(make_file(labels, folder=True))
    assert not say_in_what_order(make_file(["cat", "dog"] * 30))


def test_takes_are_told_by_the_order_of_the_import_not_of_the_names():
    survey = make_file(["cat", "dog"] * 40)
    rng = np.random.default_rng(2)
    vectors = np.repeat(rng.normal(size=(8, 6)), 10, axis=0) + 0.3 * rng.normal(size=(80, 6))
    row_of = np.argsort(np.argsort(survey.ids))
    survey.__dict__["graph"] = nearest(vectors[row_of])
    assert "takes of one session" in say_in_what_order(survey)
