"""The log of decisions: all that people decided, filtered, a page at a time, as CSV."""

import csv
import io

import pytest
from django.urls import reverse

from labeling.models import Annotator, LabelChange, LabelClass, LabelSource, RoundItem
from labeling.services import labels
from labeling.services.learning import ask_again
from labeling.services.settling import reason_for
from quality.models import Decision
from quality.queries.exports import pieces
from quality.services import selection
from quality.services.selection import Selection
from tests.factories import make_dataset, make_item, make_member
from tests.labeling.test_learning_rounds import make_learning, places
from tests.labeling.test_rounds import answer, make_annotator
from tests.labeling.test_settling import make_crowd, measure

pytestmark = pytest.mark.django_db


@pytest.fixture
def reviewer(client):
    dataset = make_dataset("pets")
    client.ann, client.bob = (make_member(dataset, "reviewer", name) for name in ("ann", "bob"))
    client.items = [make_item(dataset, f"item{n}", label="cat", split="train") for n in range(5)]
    client.dataset = dataset
    client.force_login(client.ann)
    dog = dataset.classes.get(name="dog")
    one, two, *rest = [item.pk for item in client.items]
    selection.relabel(Selection(dataset, [one], by=client.ann), label=dog)
    excluded = selection.exclude(Selection(dataset, [two], by=client.bob), reason="blurred")
    selection.undo(excluded, by=client.ann)
    selection.move(Selection(dataset, rest, by=client.bob, test_confirmed=True), split="test")
    return client


def log(client, **query):
    return client.get(reverse("quality:log", args=["pets"]), query)


def test_every_decision_is_told_newest_first_with_what_it_changed(reviewer):
    shown = log(reviewer)
    told = [
        (e.decision.by.username, e.decision.action, e.changes[0][2])
        for e in shown.context["entries"]
    ]
    assert told == [
        ("bob", "move", "train → test"),
        ("ann", "undo", "no longer left out: blurred"),
        ("bob", "exclude", "left out: blurred"),
        ("ann", "relabel", "cat → dog"),
    ]
    assert "undone by ann" in shown.text
    undone = shown.context["entries"][1].decision.undoes_id
    assert f"of decision no. {undone}" in shown.text
    beside = f'href="?before={undone + 1}#decision-{undone}"'  # there on whichever page it stands
    assert beside in shown.text


@pytest.mark.parametrize(
    ("query", "actions"),
    [
        ({"by": "bob"}, ["move", "exclude"]),
        ({"action": "relabel"}, ["relabel"]),
        ({"test": "on"}, ["move"]),
        ({"since": "2999-01-01"}, []),
        ({"until": "2999-01-01", "by": "ann"}, ["undo", "relabel"]),
        ({"kind": "label_error"}, []),
    ],
)
def test_a_filter_lets_through_what_it_says(reviewer, query, actions):
    shown = log(reviewer, **query)
    assert [entry.decision.action for entry in shown.context["entries"]] == actions
    if not actions:
        assert "No such decision" in shown.text


def test_the_csv_holds_what_the_filter_lets_through_one_line_an_item(reviewer):
    content = b"".join(log(reviewer, by="bob", format="csv")).decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [row["key"] for row in rows] == ["item1", "item2", "item3", "item4"]
    assert {row["split_after"] for row in rows[1:]} == {"test"}


def test_pages_meet_and_cost_the_same_queries(reviewer, django_assert_max_num_queries):
    row = Decision.objects.first()
    for _ in range(60):
        Decision.objects.create(
            dataset=row.dataset, by=reviewer.bob, action="keep", before=row.before, after=row.before
        )
    with django_assert_max_num_queries(10):
        first = log(reviewer).context
    second = log(reviewer, before=first["next"]).context
    seen = [entry.decision.pk for page in (first, second) for entry in page["entries"]]
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 64
    assert "stays as it is" in log(reviewer, action="keep").text


def settle(dataset, items, *, name="Second look", label="dog", method="majority"):
    asking, _ = dataset.rounds.get_or_create(name=name)
    labels.set_labels(
        labels={item.pk: dataset.classes.get(name=label) for item in items},
        source=LabelSource.CONSENSUS,
        reason=reason_for(asking, method),
    )
    return asking


def test_labels_that_a_round_changed_stand_in_the_log_and_its_csv(reviewer):
    *first, last = reviewer.items[2:]
    asking = settle(reviewer.dataset, first)
    fresh = make_item(reviewer.dataset, "fresh")
    settle(reviewer.dataset, [last, fresh], method="dawid_skene")
    page = log(reviewer)
    [line] = page.context["by_rounds"]
    assert (line.round, line.labels, line.changed) == (asking.pk, 4, 3)
    assert f"Round {asking.pk}: Second look</a>: 4 labels given, 3 of them in place" in page.text
    alone = log(reviewer, action="consensus")
    assert not alone.context["entries"]
    assert "No such decision" not in alone.text
    content = b"".join(log(reviewer, action="consensus", format="csv")).decode()
    rows = list(csv.DictReader(io.StringIO(content)))
    assert [(row["key"], row["label_before"], row["label_after"]) for row in rows] == [
        ("item2", "cat", "dog"),
        ("item3", "cat", "dog"),
        ("item4", "cat", "dog"),
        ("fresh", "", "dog"),
    ]
    assert {row["by"] for row in rows} == {f"round {asking.pk}: Second look"}
    assert b"Second look" in b"".join(log(reviewer, format="csv"))


def test_the_export_of_decisions_holds_what_the_csv_of_the_log_holds(reviewer):
    settle(reviewer.dataset, reviewer.items[2:])
    told = b"".join(pieces(reviewer.dataset, "decisions", form="csv"))
    assert b"Second look" in told
    assert told == b"".join(log(reviewer, format="csv"))


def doubted_by_further_answers():
    """Three items labelled by their first answer, which two more people do not bear out."""
    asking = make_learning(3)
    LabelClass.objects.create(dataset=asking.dataset, name="cow", position=2)
    people = [make_annotator(asking) for _ in range(3)]
    for place in places(asking):
        answer(asking, place.item, people[0], "cat")
        ask_again(asking=asking, places=[place.pk])
        for person, word in zip(people[1:], ("dog", "cow")):
            answer(asking, place.item, person, word)
    return asking.dataset


def labelled_by_a_majority_that_is_not_believed():
    """Three lazy people outvote four who look and disagree."""
    dataset, _truth = make_crowd()
    asking = dataset.rounds.get()
    people = list(Annotator.objects.filter(dataset=dataset).order_by("pk"))
    said = ("fox fox cat dog", "cat fox dog fox", "dog cat fox fox")
    for number, words in enumerate(said):
        item = make_item(dataset, f"doubted{number}")
        RoundItem.objects.create(round=asking, item=item, position=100 + number, wanted=7)
        for person, word in zip(people, [*words.split(), "fox", "fox", "fox"]):
            answer(asking, item, person, word)
    assert set(dataset.items.filter(key__startswith="doubted").values_list("label__name")) == {
        ("fox",)
    }
    measure(dataset)
    return dataset


@pytest.mark.parametrize(
    "make", [doubted_by_further_answers, labelled_by_a_majority_that_is_not_believed]
)
def test_a_dispute_that_takes_a_label_away_stands_in_the_log_and_its_csv(client, make):
    dataset = make()
    lost = set(dataset.items.filter(label=None).values_list("key", flat=True))
    lost &= set(LabelChange.objects.values_list("item__key", flat=True))
    assert lost
    client.force_login(make_member(dataset, "reviewer"))
    page = client.get(reverse("quality:log", args=[dataset.slug]))
    [line] = page.context["by_rounds"]
    assert line.taken == len(lost)
    assert "taken away" in page.text
    told = b"".join(pieces(dataset, "decisions", form="csv")).decode()
    taken = [row for row in csv.DictReader(io.StringIO(told)) if not row["label_after"]]
    assert {row["key"] for row in taken} == lost
    assert {row["by"] for row in taken} == {line.words}


@pytest.mark.parametrize(
    ("query", "labels_told"),
    [
        ({"by": "ann"}, 0),
        ({"action": "relabel"}, 0),
        ({"kind": "label_error"}, 0),
        ({"since": "2999-01-01"}, 0),
        ({"until": "2999-01-01"}, 4),  # what a reviewer decided stands
        ({"test": "on"}, 3),
    ],
)
def test_what_rounds_settled_is_filtered_with_the_decisions(reviewer, query, labels_told):
    settle(reviewer.dataset, reviewer.items)
    assert sum(line.labels for line in log(reviewer, **query).context["by_rounds"]) == labels_told


def test_a_dataset_without_decisions_says_what_will_come(client):
    client.force_login(make_member(make_dataset("pets"), "reviewer"))
    assert "Nothing decided yet" in log(client).text


def test_a_decision_about_many_is_told_by_its_first_items_whatever_their_order_afterwards(
    reviewer, django_assert_max_num_queries
):
    before = [{"item": n, "key": f"k{n:03}", "label": "cat"} for n in range(200)]
    after = [{**state, "label": "dog"} for state in reversed(before)]
    for _ in range(20):
        Decision.objects.create(
            dataset=reviewer.dataset, by=reviewer.bob, action="undo", before=before, after=after
        )
    log(reviewer)
    with django_assert_max_num_queries(11):
        entry = log(reviewer).context["entries"][0]
    assert entry.changes == [(n, f"k00{n}", "cat → dog") for n in range(3)]
    assert entry.n_items == 200


def test_a_pin_and_a_tag_are_told_in_plain_words(reviewer):
    chosen = Selection(reviewer.dataset, [reviewer.items[0].pk], by=reviewer.ann)
    selection.undo(selection.pin(chosen), by=reviewer.ann)
    selection.pin(chosen)
    selection.unpin(chosen)
    selection.tag(chosen, name="odd light")
    told = [(e.title, e.changes[0][2]) for e in log(reviewer).context["entries"][:5]]
    assert told == [
        ("Tag", "tagged “odd light”"),
        ("Taken out of the regression set", ""),
        ("Pinned to the regression set", ""),
        ("Undo", "pinned no longer"),
        ("Pinned to the regression set", ""),
    ]
