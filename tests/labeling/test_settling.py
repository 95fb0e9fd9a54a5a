"""What the crowd's consensus makes of items that have their answers; what people decided stands."""

from typing import Any

import numpy as np
import pytest
from django.utils import timezone

from labeling.models import (
    Annotation,
    Annotator,
    Dataset,
    Item,
    LabelClass,
    LabelSource,
    Round,
    RoundItem,
    User,
)
from labeling.queries.crowd import classes_of
from labeling.queries.gold import known_labels
from labeling.services import crowd, jobs, labels, settling
from labeling.services.annotations import withdraw_annotation
from quality.services import disputes
from tests.at_once import at_once
from tests.factories import make_dataset, make_member
from tests.labeling.test_rounds import NOW, answer, claim, make_annotator, make_asking, row_of

CLASSES = ("cat", "dog", "fox")
ITEMS, GOOD, LAZY = 45, 4, 3


def make_crowd(*, wanted: int = GOOD + LAZY) -> tuple[Dataset, dict[int, str]]:
    """A round in which three lazy people say "fox" whatever they see, and four look."""
    dataset = make_dataset("pets", classes=CLASSES)
    asking = make_asking(ITEMS, wanted=wanted, dataset=dataset)
    people = [make_annotator(asking) for _ in range(GOOD + LAZY)]
    rng = np.random.default_rng(5)
    truth = {}
    for number, item in enumerate(dataset.items.order_by("pk")):
        truth[item.pk] = CLASSES[number % 3]
        for person, annotator in enumerate(people):
            lazy = person >= GOOD
            wrong = rng.random() < 0.15
            said = "fox" if lazy else CLASSES[(number + wrong) % 3]
            answer(asking, item, annotator, said)
    return dataset, truth


def measure(dataset: Dataset) -> Any:
    job = jobs.open_job(kind="measure_crowd", dataset=dataset)
    done = jobs.carry_out(job.pk, crowd.measure_crowd)
    assert done is not None
    assert done.state == "done", done.error
    return done.result["settled"]


def right(dataset: Dataset, truth: dict[int, str]) -> int:
    rows = dataset.items.values_list("pk", "label__name")
    return sum(truth[pk] == name for pk, name in rows)


def settle(dataset: Dataset) -> Any:
    classes = np.array([row.pk for row in classes_of(dataset)])
    known = known_labels(dataset)
    return settling.settle(dataset, classes=classes, known=known, start=None)


@pytest.mark.django_db
@pytest.mark.both_databases
def test_the_consensus_labels_better_than_the_majority_and_the_history_says_how():
    dataset, truth = make_crowd()
    before = right(dataset, truth)
    found = measure(dataset)
    assert before < 0.8 * ITEMS
    assert right(dataset, truth) > 0.95 * ITEMS
    assert found["changed"] > 0
    rows = RoundItem.objects.select_related("item__label")
    for row in rows.filter(state="settled"):
        last = row.item.label_changes.last()
        assert (last.source, last.after) == (LabelSource.CONSENSUS, row.item.label)
        assert last.confidence >= settling.LEAST_SURE
        assert last.reason.endswith("Dawid-Skene")
        assert last.before_id != last.after_id
    assert all(row.item.label is None for row in rows.filter(state="disputed"))
    assert Annotation.objects.count() == ITEMS * (GOOD + LAZY)


@pytest.mark.django_db
def test_measuring_again_changes_nothing_and_adds_no_history():
    dataset, _ = make_crowd()
    measure(dataset)
    first = list(dataset.items.order_by("pk").values_list("label", "label_changes__pk"))
    assert measure(dataset)["changed"] == 0
    assert list(dataset.items.order_by("pk").values_list("label", "label_changes__pk")) == first


@pytest.mark.django_db
def test_what_a_person_decided_is_never_overwritten():
    dataset, _truth = make_crowd()
    lead = make_member(dataset)
    wrong = LabelClass.objects.get(name="dog")
    settled = RoundItem.objects.filter(item__label__name="fox", state="settled").first()
    disputed = RoundItem.objects.filter(state="disputed").first()
    sent_on = RoundItem.objects.filter(state="disputed").last()
    assert settled
    assert disputed
    assert sent_on
    assert disputed != sent_on
    labels.set_labels(labels={settled.item_id: wrong}, source=LabelSource.REVIEW, by=lead)
    disputes.decide(disputed, label=wrong, by=lead, seconds=1.0)
    disputes.send_on(sent_on, by=lead, seconds=1.0)
    for _ in range(2):
        measure(dataset)
    for row in (settled, disputed):
        item = Item.objects.get(pk=row.item_id)
        assert (item.label, item.label_source) == (wrong, "review")
    assert RoundItem.objects.get(pk=disputed.pk).state == "settled"
    assert RoundItem.objects.get(pk=sent_on.pk).state == "disputed"
    assert Item.objects.get(pk=sent_on.item_id).label is None


@pytest.mark.django_db
def test_an_answer_withdrawn_after_the_consensus_opens_the_item_again_without_its_label():
    dataset, _ = make_crowd()
    measure(dataset)
    row = RoundItem.objects.filter(state="settled", item__label__name="cat").first()
    assert row
    given = Annotation.objects.filter(item=row.item).first()
    assert given
    assert withdraw_annotation(
        round=row.round, annotator=given.annotator, client_id=given.client_id, now=NOW
    )
    row.refresh_from_db()
    assert (row.state, Item.objects.get(pk=row.item_id).label) == ("open", None)
    measure(dataset)  # an open item is left to its round
    row.refresh_from_db()
    assert (row.state, Item.objects.get(pk=row.item_id).label) == ("open", None)


def test_a_tie_of_equals_and_what_most_cannot_name_are_disputed(db: None):
    asking = make_asking(2, wanted=2)
    one, two = make_annotator(asking), make_annotator(asking)
    tied, blurred = asking.dataset.items.order_by("pk")
    for person, said in ((one, "cat"), (two, "dog")):
        answer(asking, tied, person, said)
    for person, said in ((one, "cat"), (two, "unusable")):
        answer(asking, blurred, person, said)
    measure(asking.dataset)
    assert {row_of(item).state for item in (tied, blurred)} == {"disputed"}


def test_one_person_who_alone_was_asked_is_believed(db: None):
    asking = make_asking(3)
    person = make_annotator(asking)
    for item, said in zip(claim(asking, person, 3), ("cat", "dog", "dog")):
        answer(asking, item, person, said)
    measure(asking.dataset)
    names = asking.dataset.items.order_by("pk").values_list("label__name", flat=True)
    assert list(names) == ["cat", "dog", "dog"]


def test_a_plain_no_leaves_an_item_to_the_votes(db: None):
    asking = make_asking(1, wanted=2, kind="verify")
    cat = LabelClass.objects.get(dataset=asking.dataset, name="cat")
    item = asking.dataset.items.get()
    for said in ("cat", "no"):
        answer(asking, item, make_annotator(asking), said, asked=cat)
    measure(asking.dataset)
    assert row_of(item).state == "disputed"
    assert (Item.objects.get().label, Item.objects.get().label_source) == (cat, "import")


def test_an_item_belongs_to_the_round_that_asked_about_it_last(db: None):
    first = make_asking(1, wanted=3)
    dataset, item = first.dataset, first.dataset.items.get()
    people = [make_annotator(first) for _ in range(3)]
    for person in people:
        answer(first, item, person, "cat")
    again = Round.objects.create(dataset=dataset, name="again", answers_wanted=3)
    RoundItem.objects.create(round=again, item=item, position=0, wanted=3)
    for person in people:
        answer(again, item, person, "dog")
    measure(dataset)
    now = Item.objects.get()
    assert now.label
    assert now.label.name == "dog"
    assert now.label_changes.last().reason.startswith(f"round {again.pk}: again")


def test_an_answer_given_while_the_crowd_was_measured_is_not_passed_over(db: None):
    dataset, _ = make_crowd()
    place = RoundItem.objects.filter(state="settled", item__label__name="fox").first()
    assert place
    classes = np.array([row.pk for row in classes_of(dataset)])
    verdicts, _method = settling._verdicts(dataset, classes=classes, known={}, start=None)
    late = Annotation.objects.filter(item=place.item).first()
    assert late
    Annotation.objects.filter(pk=late.pk).update(withdrawn_at=timezone.now())
    standing = settling._standing(dataset, verdicts)
    assert place.pk not in {row.place.pk for row in standing}
    assert len(standing) == ITEMS - 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_two_workers_who_settle_at_once_change_each_label_once():
    dataset, truth = make_crowd()
    at_once(*[lambda: settle(dataset)] * 2)
    settle(dataset)  # what one of them left to the other
    assert right(dataset, truth) > 0.95 * ITEMS
    for item in Item.objects.all():
        history = list(item.label_changes.values_list("before", "after"))
        assert all(before != after for before, after in history)
        assert [before for before, _ in history[1:]] == [after for _, after in history[:-1]]
        assert (history[-1][1] if history else None) == item.label_id
    assert Annotator.objects.count() == User.objects.count() == GOOD + LAZY
