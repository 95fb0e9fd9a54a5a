"""How people read the question: groups, something declared of them, and the pull of suggestions."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse

from labeling.models import Annotation, Annotator, Dataset, LabelClass, Role
from labeling.queries import readings as queries
from labeling.services import readings
from tests.factories import make_dataset, make_item, make_member
from tests.labeling.test_crowd import make_crowd, measure
from tests.labeling.test_rounds import make_annotator, make_asking

pytestmark = pytest.mark.django_db
PEOPLE, OTHERS, ITEMS = 16, 5, 120


def make_two_readings(path: Path) -> Dataset:
    """Five people in sixteen take every fourth item, a toy, for what it shows; others do not."""
    dataset = make_dataset("pets", classes=("cat", "dog", "neither"))
    rng = np.random.default_rng(8)
    lines = ["item,annotator,answer"]
    for number in range(ITEMS):
        make_item(dataset, f"i{number:03}")
        shown = ("cat", "dog")[number % 2]
        for person in rng.permutation(PEOPLE)[:8]:
            reads_toys = person >= PEOPLE - OTHERS
            said = shown if reads_toys or number % 4 else "neither"
            said = said if rng.random() < 0.92 else "dog"
            lines.append(f"i{number:03},p{person:02},{said}")
    (path / "answers.csv").write_text("\n".join(lines))
    call_command("import_annotations", "pets", str(path / "answers.csv"), "--json")
    return dataset


def page_of(client: Any, dataset: Dataset, name: str = "readings") -> str:
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse(f"labeling:{name}", args=[dataset.slug]))
    assert page.status_code == 200
    return str(page.text)


def test_two_groups_stand_on_the_page_with_the_items_they_read_differently(
    tmp_path: Path, client: Any
):
    dataset = make_two_readings(tmp_path)
    found = queries.readings_of(dataset, measure(dataset))
    assert found
    names = {str(person) for person in found.groups[1].people}
    assert names == {f"p{n}" for n in range(PEOPLE - OTHERS, PEOPLE)}
    assert all(int(row.item.key[1:]) % 4 == 0 for row in found.apart)
    assert next(name for name, _ in found.apart[0].said) == "neither"
    page = page_of(client, dataset)
    assert "Group B, 5" in page
    assert f"The {found.total} items on which they part" in page
    assert found.pairs[0][0] == "neither"
    assert found.apart[0].item.key in page
    assert "5 in another" in page_of(client, dataset, "crowd")


def test_a_crowd_of_one_mind_says_so(tmp_path: Path, client: Any):
    dataset = make_crowd(tmp_path, bad=0)
    measure(dataset)
    page = page_of(client, dataset)
    assert "None found" in page
    assert "Not enough answers yet" in page


def test_a_declared_attribute_that_goes_with_the_reading_is_told_and_a_random_one_not(
    tmp_path: Path, client: Any
):
    dataset = make_two_readings(tmp_path)
    lead = make_member(dataset, Role.LEAD)
    client.force_login(lead)
    address = reverse("labeling:declare", args=["pets"])
    names = [f"p{n:02}" for n in range(PEOPLE)]

    def declare(value_of: Any) -> float:
        lines = "\n".join(f"{name}, {value_of(n)}" for n, name in enumerate(names))
        sent = client.post(address, {"name": "native language", "people": lines})
        assert sent.status_code == 302
        dataset.refresh_from_db()
        dataset.jobs.all().delete()
        chance = measure(dataset).facts["attribute"]["by_chance"]
        assert chance is not None
        return float(chance)

    assert declare(lambda n: "Basque" if n >= PEOPLE - OTHERS else "Spanish") < 0.01
    assert "it matters" in client.get(reverse("labeling:readings", args=["pets"])).text
    assert declare(lambda n: "early" if n % 2 else "late") > 0.05
    assert "no effect seen" in client.get(reverse("labeling:readings", args=["pets"])).text


def test_a_line_about_nobody_is_refused_with_its_number(tmp_path: Path, client: Any):
    dataset = make_crowd(tmp_path, people=3, items=6)
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("labeling:declare", args=["pets"])
    sent = {"name": "site", "people": "p000, Jena\nnobody, Ulm"}
    page = client.post(address, sent)
    assert page.status_code == 422
    assert "Line 2: nobody called nobody" in page.text
    assert not Annotator.objects.exclude(attribute="").exists()


def test_the_pull_of_suggestions_is_told_from_fifty_answers_each_way_on():
    asking = make_asking(150)
    asking.suggesting = "before"
    asking.save()
    dataset = asking.dataset
    cat, dog = LabelClass.objects.filter(dataset=dataset)
    people = [make_annotator(asking) for _ in range(10)]
    rng = np.random.default_rng(1)

    def answer(n: int) -> None:
        for item in dataset.items.order_by("pk")[:n]:
            for person in people[: 10 if n > 20 else 3]:
                shown = rng.random() < 0.7
                follows = rng.random() < (0.85 if shown else 0.7)
                Annotation.objects.update_or_create(
                    round=asking,
                    item=item,
                    annotator=person,
                    defaults={
                        "client_id": uuid.uuid4(),
                        "answer": "class",
                        "label": cat if follows else dog,
                        "suggestion": cat,
                        "suggestion_shown": "before" if shown else "withheld",
                    },
                )

    answer(20)
    assert "value" not in readings._pull(dataset)
    answer(150)
    found = readings._pull(dataset)
    assert found["low"] < 0.5 < found["high"]
    assert found["low"] > 0
