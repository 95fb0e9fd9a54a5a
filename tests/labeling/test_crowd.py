"""The lead's pages of the crowd: who answers how well, and where people disagree."""

import csv
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from labeling.models import Annotation, Annotator, Dataset, GuardEvent, Item, Role
from labeling.queries import crowd as queries
from labeling.services import crowd, jobs
from tests.factories import make_asking, make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db
CLASSES = ("cat", "dog", "fox")


def make_crowd(path: Path, *, people: int = 8, items: int = 90, bad: int = 1) -> Dataset:
    """Import a crowd in which the last `bad` people guess and all others take a fox for a dog."""
    dataset = make_dataset("pets", classes=CLASSES)
    rng = np.random.default_rng(3)
    lines = ["item,annotator,answer"]
    for number in range(items):
        make_item(dataset, f"i{number}")
        truth = number % 3
        for person in range(people):
            said = truth
            if person >= people - bad:
                said = int(rng.integers(3))
            elif truth == 2 and rng.random() < 0.3:
                said = 1
            lines.append(f"i{number},p{person:03},{CLASSES[said]}")
    (path / "answers.csv").write_text("\n".join(lines))
    call_command("import_annotations", "pets", str(path / "answers.csv"), "--json")
    return dataset


def measure(dataset: Dataset) -> Any:
    job = jobs.open_job(kind="measure_crowd", dataset=dataset)
    done = jobs.carry_out(job.pk, crowd.measure_crowd)
    assert done is not None
    assert done.state == "done", done.error
    return queries.findings_of(dataset)


def test_who_guesses_stands_last_in_accuracy_and_the_limits_hold_the_value(
    tmp_path: Path, client: Any
):
    dataset = make_crowd(tmp_path)
    found = measure(dataset)
    people = queries.people_of(dataset, found, sort="accuracy", page=1).rows
    assert str(people[0].annotator) == "p007"
    assert people[0].answers == 90
    assert people[0].accuracy.value < 0.5 < people[1].accuracy.value
    assert all(p.accuracy.low <= p.accuracy.value <= p.accuracy.high for p in people)
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("labeling:crowd", args=["pets"]))
    assert page.status_code == 200
    assert "p007" in page.text
    assert "Look at the guideline" in page.text


def test_the_pair_that_most_confuse_is_told_and_its_numbers_lead_to_as_many_answers(
    tmp_path: Path, client: Any
):
    dataset = make_crowd(tmp_path)
    pairs = queries.pairs_of(dataset, measure(dataset))
    assert [(str(p.first), str(p.second)) for p in pairs] == [("dog", "fox")]
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(pairs[0].second_url)
    assert page.context["answers"].total == pairs[0].second_as_first > 0


def test_a_cell_of_an_annotators_confusion_leads_to_exactly_its_answers(
    tmp_path: Path, client: Any
):
    dataset = make_crowd(tmp_path)
    found = measure(dataset)
    person = Annotator.objects.get(name="p007")
    table = queries.confusion_of(dataset, person, found)
    assert sum(row.total for row in table.rows) + table.unsettled == 90
    client.force_login(make_member(dataset, Role.LEAD))
    assert client.get(reverse("labeling:crowd_person", args=["pets", person.pk])).status_code == 200
    for row in table.rows:
        for cell in row.cells:
            assert client.get(cell.url).context["answers"].total == cell.count
        assert client.get(row.url).context["answers"].total == row.total


def test_what_one_person_alone_answered_is_compared_with_nothing(client: Any):
    dataset = make_dataset("pets", classes=CLASSES)
    items = [make_item(dataset, f"i{number}") for number in range(6)]
    asking = make_asking(dataset, items, name="Look again")
    ann, ben = (Annotator.objects.create(dataset=dataset, name=name) for name in ("ann", "ben"))

    def answer(person: Annotator, chosen: list[Item]) -> None:
        for item in chosen:
            label = dataset.classes.first()
            Annotation.objects.create(
                round=asking, item=item, annotator=person, answer="class", label=label
            )

    answer(ann, items[:4])
    answer(ben, items[4:])
    found = measure(dataset)
    assert not queries.confusion_of(dataset, ann, found).compared
    assert queries.people_of(dataset, found, sort="accuracy", page=1).rows[0].accuracy is None
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("labeling:crowd_person", args=["pets", ann.pk])).text
    assert "Nothing to compare yet" in page
    assert 'class="matrix' not in page
    assert reverse("labeling:change_round", args=["pets", asking.pk]) in page
    assert "Ask a second person in “Look again”" in page
    asking.round_items.filter(item__in=items[:4]).update(wanted=2)
    asked = client.get(reverse("labeling:crowd_person", args=["pets", ann.pk])).text
    assert "asks for a second answer an item already" in asked
    assert "Ask a second person" not in asked
    crowd_page = client.get(reverse("labeling:crowd", args=["pets"])).text
    assert "Ask a second person in a round" in crowd_page
    assert "they do not err in the same way" not in crowd_page
    answer(ben, items[2:3])
    found = measure(dataset)
    table = queries.confusion_of(dataset, ann, found)
    assert (table.compared, table.unsettled) == (1, 3)
    assert client.get(table.rows[0].cells[0].url).context["answers"].total == 1
    page = client.get(reverse("labeling:crowd_person", args=["pets", ann.pk])).text
    assert "3 answers are not in it: their items are tied, or nobody else answered them." in page


def test_where_people_agree_no_better_than_by_chance_nobody_is_called_accurate(client: Any):
    dataset = make_dataset("pets", classes=CLASSES)
    asking = make_asking(dataset, [make_item(dataset, f"i{number}") for number in range(24)])
    labels = list(dataset.classes.all())
    for name in ("ann", "ben"):  # Ben presses one key
        person = Annotator.objects.create(dataset=dataset, name=name)
        for number, item in enumerate(dataset.items.order_by("pk")):
            said = labels[number % 3] if name == "ann" else labels[0]
            Annotation.objects.create(
                round=asking, item=item, annotator=person, answer="class", label=said
            )
    found = measure(dataset)
    assert found.facts["meaning"] == "none"
    people = queries.people_of(dataset, found, sort="accuracy", page=1).rows
    assert [row.accuracy for row in people] == [None, None]
    client.force_login(make_member(dataset, Role.LEAD))
    assert "no accuracy is shown" in client.get(reverse("labeling:crowd", args=["pets"])).text
    page = client.get(reverse("labeling:crowd_person", args=["pets", person.pk])).text
    assert "no better than chance" in page
    found.facts["known"] = 6  # check items tell
    assert queries.people_of(dataset, found, sort="accuracy", page=1).rows[0].accuracy is not None


def test_a_guideline_is_not_blamed_for_who_presses_one_key():
    dataset = make_dataset("pets", classes=CLASSES)
    shown = [0] * 9 + [1] * 9 + [2] * 6
    items = [make_item(dataset, f"i{number}") for number in range(len(shown))]
    asking = make_asking(dataset, items)
    labels = list(dataset.classes.all())
    for name in ("ben", "ann"):  # Ben presses one key, Ann is always right
        person = Annotator.objects.create(dataset=dataset, name=name)
        for item, truth in zip(items, shown, strict=True):
            said = labels[truth if name == "ann" else 0]
            Annotation.objects.create(
                round=asking, item=item, annotator=person, answer="class", label=said
            )
    assert measure(dataset).facts["pairs"] == []


def test_where_two_people_never_agree_nobody_is_said_to_have_answered_alone(client: Any):
    dataset = make_dataset("pets", classes=CLASSES[:2])
    items = [make_item(dataset, f"i{number}") for number in range(4)]
    asking = make_asking(dataset, items)
    for name, label in zip(("ann", "ben"), dataset.classes.all(), strict=True):
        person = Annotator.objects.create(dataset=dataset, name=name)
        for item in items:
            Annotation.objects.create(
                round=asking, item=item, annotator=person, answer="class", label=label
            )
    found = measure(dataset)
    assert not queries.confusion_of(dataset, person, found).compared
    client.force_login(make_member(dataset, Role.LEAD))
    page = client.get(reverse("labeling:crowd_person", args=["pets", person.pk])).text
    assert "nobody else answered" not in page
    assert "is tied" in page
    assert "Ask a second person" not in page


def test_answers_that_came_since_are_counted_and_measured_by_themselves(tmp_path: Path):
    dataset = make_crowd(tmp_path, people=3, items=6)
    now = timezone.now() + queries.QUIET + timedelta(seconds=1)
    assert queries.crowds_to_measure(now=now) == [dataset]
    found = measure(dataset)
    assert queries.crowds_to_measure(now=now) == []
    assert queries.answers_since(dataset, found) == 0
    person = Annotator.objects.create(dataset=dataset, name="late")
    Annotation.objects.create(
        round=dataset.rounds.get(), item=dataset.items.first(), annotator=person, answer="unsure"
    )
    assert queries.answers_since(dataset, found) == 1
    assert queries.crowds_to_measure(now=now) == [dataset]


def test_nothing_to_measure_is_said_in_words(client: Any):
    dataset = make_dataset("pets")
    client.force_login(make_member(dataset, Role.LEAD))
    assert "Nobody has answered yet" in client.get(reverse("labeling:crowd", args=["pets"])).text
    job = jobs.carry_out(
        jobs.open_job(kind="measure_crowd", dataset=dataset).pk, crowd.measure_crowd
    )
    assert job is not None
    assert job.error.startswith("Nobody has named a class")


def test_a_work_record_counts_the_answers_of_its_days_alone(tmp_path: Path, client: Any):
    dataset = make_crowd(tmp_path, people=3, items=6)
    first = Annotation.objects.filter(annotator__name="p000").first()
    assert first is not None
    Annotation.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(days=40))
    client.force_login(make_member(dataset, Role.LEAD))
    today = timezone.localdate()
    address = reverse("labeling:work_record", args=["pets"])
    text = b"".join(client.get(address, {"start": today, "end": today})).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["annotator"], row["answers"]) for row in rows] == [
        ("p000", "5"), ("p001", "6"), ("p002", "6"),
    ]  # fmt: skip
    assert client.get(address, {"start": "2026-02-03", "end": "2026-02-01"}).status_code == 422


def test_what_was_said_to_an_annotator_stands_on_their_page_alone(tmp_path: Path, client: Any):
    dataset = make_crowd(tmp_path, people=3, items=6)
    warned, other = Annotator.objects.order_by("name")[:2]
    GuardEvent.objects.create(
        annotator=warned, act="pause", kinds=["one key"], text="look again", at=timezone.now()
    )
    client.force_login(make_member(dataset, Role.LEAD))
    pages = [
        client.get(reverse("labeling:crowd_person", args=["pets", person.pk])).text
        for person in (warned, other)
    ]
    assert "look again" in pages[0]
    assert "Guard history" not in pages[1]
