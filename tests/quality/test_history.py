"""The chart of a dataset's history: every version, run and gain is a mark that opens it."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from labeling.models import LabelSource, Role
from labeling.services import labels
from labeling.services.versions import freeze_version
from quality.models import Comparison, Run
from quality.queries import history as queries
from tests.factories import make_member
from tests.quality.words import make_words

SCORE = {"value": 0.8, "low": 0.7, "high": 0.9}


@given(low=st.floats(-1, 1), high=st.floats(-1, 1), at=st.floats(0, 1))
def test_every_value_of_a_scale_is_drawn_inside_its_panel(low, high, at):
    low, high = sorted((low, high))
    value = min(max(low + at * (high - low), low), high)
    assert queries.TOP <= queries.Scale(low, high).y(value) <= queries.HEIGHT


@given(count=st.integers(2, 250))
def test_few_enough_versions_are_written_below_the_newest_among_them(count):
    class Numbered:
        def __init__(self, number):
            self.number = number

    numbers = queries.Axis([Numbered(n) for n in range(1, count + 1)]).numbers()
    assert len(numbers) <= queries.NUMBERS_SHOWN
    assert numbers[0]["number"] == count
    assert all(0 < row["x"] < 100 for row in numbers)


def relabelled(dataset, places):
    """Give the items at these places another label and freeze that, trained."""
    items = list(dataset.items.order_by("key").select_related("label"))
    others = list(dataset.classes.all())
    wrong = {items[n].pk: next(c for c in others if c != items[n].label) for n in places}
    labels.set_labels(labels=wrong, source=LabelSource.REVIEW)
    return trained(dataset)


def trained(dataset):
    version, _ = freeze_version(dataset=dataset)
    return Run.objects.create(
        dataset=dataset, number=version.number, version=version, protocol={}, backbone="b",
        metrics={"accuracy": SCORE}, finished_at=timezone.now(),
    )  # fmt: skip


@pytest.mark.django_db
def test_each_version_run_and_gain_is_a_mark_that_opens_it(client):
    dataset = make_words(items=12)
    runs = [trained(dataset), relabelled(dataset, range(3)), relabelled(dataset, [5])]
    found = {"difference": 0.1, "low": -0.02, "high": 0.22}
    Comparison.objects.create(dataset=dataset, old=runs[0], new=runs[2], result=found)
    told = queries.history(dataset)
    items, changed, scores, gains = told["panels"]
    assert [mark.words for mark in changed.bars] == [
        "v1 to v2: 25.0 % of the labels changed", "v2 to v3: 8.3 % of the labels changed",
    ]  # fmt: skip
    assert "12 items, 12 labelled" in items.bars[0].words
    assert [mark.url for mark in scores.marks] == [
        reverse("quality:run", args=[dataset.slug, number]) for number in (1, 2, 3)
    ]
    assert scores.title.startswith("Accuracy, cross-validated")
    assert gains.marks[0].tone == "grey"
    assert gains.marks[0].url.endswith("?old=1&new=3")
    assert gains.marks[0].since < gains.marks[0].x
    Comparison.objects.all().delete()
    client.force_login(make_member(dataset, Role.REVIEWER))
    page = client.get(reverse("quality:before_after", args=[dataset.slug])).content.decode()
    for bar in (*items.bars, *changed.bars, *scores.marks):
        assert f'href="{bar.url.replace("&", "&amp;")}"' in page
    Run.objects.create(
        dataset=dataset, number=4, version=runs[0].version, protocol={"scheme": "time"},
        backbone="b", metrics={"accuracy": SCORE}, finished_at=timezone.now(),
    )  # fmt: skip
    scores = queries.history(dataset)["panels"][2]
    address = reverse("quality:run", args=[dataset.slug, 4])
    assert [mark.url for mark in scores.marks] == [address], "schemes are not mixed in one chart"
    assert scores.title.startswith("Accuracy, judged by time")
    assert scores.note.startswith("2 versions were judged otherwise")


@pytest.mark.django_db
def test_more_versions_cost_no_more_queries():
    dataset = make_words(items=12)
    counts = []
    for place in range(6):
        relabelled(dataset, [place])
        if place in (1, 5):
            with CaptureQueriesContext(connection) as asked:
                queries.history(dataset)
            counts.append(len(asked))
    assert counts[0] == counts[1]


@pytest.mark.django_db
def test_one_version_is_no_history():
    dataset = make_words(items=6)
    trained(dataset)
    assert queries.history(dataset) == {"panels": []}
