"""What a run means in practice: a day in plain words, and its most surprising failures."""

import numpy as np
import pytest
from django.urls import reverse

from labeling.models import Dataset, Role
from labeling.services import labels
from quality import arrays
from quality.models import Run
from quality.queries.judged import judged_of
from quality.queries.practice import practice_of, surprises_of
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_run_page import make_run

pytestmark = pytest.mark.django_db
SURE = [0.9, 0.8, 0.6, 0.2, 0.7, 0.1, 0.3, 0.2, 0.1, 0.1]  # of a cat; the first four are cats


@pytest.fixture
def run() -> Run:
    dataset = make_dataset("pets", classes=("cat", "dog"))
    for number in range(10):
        make_item(dataset, f"{number}", "cat" if number < 4 else "dog")
    made = make_run(dataset, "c" * 10)
    sure = np.array(SURE, dtype=np.float32)
    arrays.save_run(made, {"probabilities": np.stack([sure, 1 - sure], axis=1)})
    return made


def day(run: Run, **asked: object):
    run.dataset = Dataset.objects.get(pk=run.dataset_id)
    found = practice_of(run, judged_of(run), {"class": "cat", **asked})
    assert found
    return found


def test_a_day_is_told_for_a_class_a_threshold_and_a_volume(run):
    found = day(run, volume=1000, at=0.5, seconds=36)
    assert "Of 1,000 cases a day 300 “cat” are caught" in found.words
    assert "100 missed" in found.words
    assert "100 others go to people" in found.words  # of six dogs one
    assert found.workload.startswith("People look at 400 a day: 4 h")
    assert "as often as here" in found.shares_note


def test_another_threshold_catches_fewer_and_asks_people_less(run):
    found = day(run, volume=1000, at=0.75)
    assert "200 “cat” are caught" in found.words
    assert " 0 others go to people" in found.words
    assert "how many seconds" in found.workload


def test_production_shares_and_the_chosen_metric_set_what_nobody_asked_for(run):
    cat, dog = run.dataset.classes.all()
    Dataset.objects.filter(pk=run.dataset_id).update(
        success={
            "metric": "recall", "positive": cat.pk, "precision": 0.9, "volume": 5000,
            "seconds": 10, "shares": {str(cat.pk): 0.1, str(dog.pk): 0.9},
        }
    )  # fmt: skip
    found = day(run)
    assert found.threshold == pytest.approx(0.8)
    assert "Of 5,000 cases a day 250 “cat” are caught" in found.words
    assert "People look at 250 a day: 42 min" in found.workload
    assert ".100 of the cases" in found.shares_note


def test_the_rarest_class_is_looked_for_where_none_was_chosen(run):
    assert day(run, **{"class": ""}).name == "cat"
    assert day(run, **{"class": "dog"}).name == "dog"


def test_the_surest_mistakes_come_first_with_what_became_of_them(run):
    found = surprises_of(run, judged_of(run))
    assert [(one["item"].key, one["given"], one["predicted"]) for one in found] == [
        ("3", "cat", "dog"),
        ("4", "dog", "cat"),
    ]
    assert [one["probability"] for one in found] == pytest.approx([0.8, 0.7])
    wrong = run.dataset.items.get(key="3")
    labels.set_labels(labels={wrong.pk: run.dataset.classes.get(name="dog")}, source="review")
    assert surprises_of(run, judged_of(run))[0]["relabelled"] == "dog"


def test_the_page_fetches_both_and_answers_what_is_asked(client, run):
    client.force_login(make_member(run.dataset, Role.REVIEWER))
    address = reverse("quality:run_closer", args=["pets", 1])
    assert f'hx-get="{address}"' in client.get("/d/pets/runs/1/").content.decode()
    page = client.get(address, {"class": "cat", "at": "0.75", "volume": "1000"}).content.decode()
    assert "200 “cat” are caught" in page
    assert "Most surprising failures" in page
    assert f"/d/pets/items/{run.dataset.items.get(key='3').pk}/" in page
    odd = client.get(address, {"class": "fish", "at": "nan", "volume": "-5"})
    assert odd.status_code == 200
    assert "Of 1,000 cases a day" in odd.content.decode()


def test_a_run_that_trains_has_nothing_to_tell_yet(client, run):
    client.force_login(make_member(run.dataset, Role.REVIEWER))
    Run.objects.update(finished_at=None)
    page = client.get(reverse("quality:run_closer", args=["pets", 1])).content.decode()
    assert "A day in practice" not in page
