"""The page of one item: history, flags, copies, who answered what, and who may see it."""

import re

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from labeling.models import Dataset, Item, LabelSource, Role
from labeling.services import labels, versions
from quality import arrays
from quality.models import Run
from tests import factories
from tests.factories import make_flag

pytestmark = pytest.mark.django_db


@pytest.fixture
def pets() -> Dataset:
    dataset = factories.make_dataset("pets")
    for n in range(3):
        factories.make_item(dataset, f"cat-{n}.png", "cat", split="train", source_group="ada")
    factories.make_item(dataset, "dog.png", "dog", split="test", metadata={"camera": "X1"})
    return dataset


def item(key: str) -> Item:
    return Item.objects.get(key=key)


def html(dataset: Dataset, key: str, name: str = "item", *, query: str = "") -> str:
    client = Client()
    client.force_login(factories.make_member(dataset, Role.REVIEWER))
    url = reverse(f"quality:{name}", args=[dataset.slug, item(key).pk])
    answer = client.get(f"{url}?{query}")
    assert answer.status_code == 200
    return answer.content.decode()


def test_it_shows_label_history_facts_and_flags(pets: Dataset) -> None:
    dog = pets.classes.get(name="dog")
    by = factories.make_user("ada.l")
    labels.set_labels(
        labels={item("cat-0.png").pk: dog}, source=LabelSource.REVIEW, by=by, reason="looked"
    )
    make_flag(item("cat-0.png"), item("cat-1.png"), kind="near_duplicate", reason="Same pixels.")
    page = html(pets, "cat-0.png")
    for words in ("cat → ", "ada.l", "looked", "Same pixels.", "?group=ada", "cat-1.png"):
        assert words in page
    assert "camera" in html(pets, "dog.png")


def test_each_measurement_has_its_value_and_the_limit_of_the_check_that_asks(pets: Dataset) -> None:
    content = item("cat-0.png").content
    content.facts = {"width": 40, "height": 30, "edge_width": 3.25, "brightness": 64.5}
    content.save()
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', html(pets, "cat-0.png"))
    told = {name: re.sub(r"<[^>]+>", " ", rest).split() for name, rest in rows}
    assert told["Pixels"] == ["40", "×", "30"]
    assert told["Brightness"] == ["64.5"]
    assert told["Edge width"] == ["3.25", "px", "blurry", "≥", "3", "noise", "≤", "0.68"]


def test_previous_and_next_keep_to_the_filter_in_the_address(pets: Dataset) -> None:
    page = html(pets, "cat-1.png", query="class=cat&sort=key")
    for other in ("cat-0.png", "cat-2.png"):
        assert f"/items/{item(other).pk}/?class=cat&amp;sort=key" in page
    assert "Next" not in html(pets, "cat-2.png", query="class=cat&sort=key")


def test_predictions_are_those_of_the_items_own_line_and_test_stays_sealed(pets: Dataset) -> None:
    version, _ = versions.freeze_version(dataset=pets)
    run = Run.objects.create(
        dataset=pets,
        number=1,
        version=version,
        protocol={},
        backbone="b",
        classes=["cat", "dog"],
        metrics={"n": 3},
        finished_at=timezone.now(),
    )
    told = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [np.nan, np.nan]])
    arrays.save_run(run, {"probabilities": told})
    assert "dog .800" in html(pets, "cat-1.png", "item_in_files")
    assert "sealed" in html(pets, "dog.png", "item_in_files")
    factories.make_item(pets, "later.png")
    assert "No version holds it yet" in html(pets, "later.png", "item_in_files")


def test_a_long_history_costs_no_more_queries(pets: Dataset) -> None:
    client = Client()
    client.force_login(factories.make_member(pets))
    url = reverse("quality:item", args=[pets.slug, item("cat-0.png").pk])
    classes = list(pets.classes.all())
    counts = []
    for turn in range(4):
        labels.set_labels(
            labels={item("cat-0.png").pk: classes[(turn + 1) % 2]}, source=LabelSource.REVIEW
        )
        with CaptureQueriesContext(connection) as captured:
            assert client.get(url).status_code == 200
        counts.append(len(captured))
    assert len(set(counts)) == 1
