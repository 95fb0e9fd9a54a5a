"""A run's accuracy with and without the items whose copy or source it learned from."""

import numpy as np
import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.models import Dataset, Role
from labeling.services.versions import freeze_version
from quality import arrays
from quality.models import Run
from quality.queries.leaked import without_leaks
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_run_page import METRICS

pytestmark = pytest.mark.django_db


def make_run(*, splits: str = "tttvvvvvss") -> Run:
    """A run that is right on what it knows the source of: one letter an item, two know a source."""
    dataset = make_dataset()
    names = {"t": "train", "v": "validation", "s": "test"}
    for number, letter in enumerate(splits):
        group = "ann" if number in (0, 3, 4, 8) else f"{number}"
        make_item(dataset, f"{number}", "cat", split=names[letter], source_group=group)
    version, _ = freeze_version(dataset=dataset)
    run = Run.objects.create(
        dataset=dataset, number=1, version=version, backbone="b", classes=["cat", "dog"],
        protocol={"n_folds": 5, "seed": 0}, finished_at=timezone.now(),
        metrics={**METRICS, "confusion": [[2, 0], [0, 2]]},
    )  # fmt: skip
    known = np.full((len(splits), 2), np.nan, dtype=np.float32)
    for number, letter in enumerate(splits):
        if letter != "s":
            known[number] = (0.9, 0.1) if number in (0, 3, 4, 5) else (0.1, 0.9)
    arrays.save_run(run, {"probabilities": known})
    return run


def page_of(client, dataset: Dataset) -> str:
    client.force_login(make_member(dataset, Role.REVIEWER))
    return client.get(reverse("quality:run", args=[dataset.slug, 1])).text


def test_while_test_is_sealed_validation_is_judged_and_leaked_test_items_are_counted(client):
    run = make_run()
    found = without_leaks(run)
    assert found
    assert (found.split, found.n, found.leaked) == ("validation", 5, 2)
    assert (found.sealed, found.sealed_leaked) == (2, 1)
    assert found.whole.value == pytest.approx(3 / 5)
    assert found.clean.value == pytest.approx(1 / 3)
    assert found.change.value == pytest.approx(1 / 3 - 3 / 5)
    page = page_of(client, run.dataset)
    assert "Test is sealed: of its 2 labelled items 1 shares" in page
    assert "The 3 not leaked" in page
    assert "memory does not help" in page


def test_what_was_judged_is_judged_anew_once_the_test_split_is_opened():
    run = make_run()
    sealed = without_leaks(run)
    assert without_leaks(run) == sealed
    arrays.save_run(run, {"test_probabilities": np.full((10, 2), 0.5, dtype=np.float32)})
    opened = without_leaks(run)
    assert sealed
    assert opened
    assert (sealed.split, opened.split, opened.sealed) == ("validation", "test", 0)


def test_an_opened_test_split_is_judged_itself(client):
    run = make_run()
    opened = np.full((10, 2), np.nan, dtype=np.float32)
    opened[8], opened[9] = (0.9, 0.1), (0.1, 0.9)
    arrays.save_run(run, {"test_probabilities": opened})
    found = without_leaks(run)
    assert found
    assert (found.split, found.n, found.leaked, found.sealed) == ("test", 2, 1, 0)
    assert (found.whole.value, found.clean.value) == (0.5, 0.0)
    assert (
        "sealed" not in page_of(client, run.dataset).split("leaks-title")[1].split("</section>")[0]
    )


def test_copies_that_the_run_kept_together_are_leaks_and_where_all_leak_none_is_left(client):
    run = make_run()
    arrays.save_run(run, {"groups": np.array([0, 1, 2, 0, 1, 2, 0, 1, 3, 4])})
    found = without_leaks(run)
    assert found
    assert (found.leaked, found.left, found.clean) == (5, 0, None)
    assert "No validation item is left" in page_of(client, run.dataset)


def test_without_other_splits_nothing_is_said(client):
    run = make_run(splits="tttttttttt")
    assert without_leaks(run) is None
    assert "leaks-title" not in page_of(client, run.dataset)
