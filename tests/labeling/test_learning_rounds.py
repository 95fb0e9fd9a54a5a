"""Rounds in a learning order: one answer first, more where it helps, and places that move."""

from collections import Counter

import pytest
from django.urls import reverse

from labeling.models import Annotation, Item, LabelClass, LabelSource, Role, Suggestion
from labeling.queries.fair_share import model_accuracy
from labeling.services import labels
from labeling.services.annotations import withdraw_annotation
from labeling.services.learning import ask_again, set_order
from labeling.services.rounds import close_round, extend_round
from tests.at_once import at_once
from tests.factories import make_asking, make_dataset, make_item, make_member
from tests.labeling.test_rounds import NOW, answer, claim, make_annotator

pytestmark = pytest.mark.django_db


def make_learning(items=3, *, wanted=3):
    dataset = make_dataset()
    asked = [make_item(dataset).pk for _ in range(items)]
    return make_asking(dataset, asked, answers_wanted=wanted, order="learning")


def places(asking):
    return list(asking.round_items.order_by("pk"))


def test_an_item_gets_its_label_from_one_answer_and_more_people_only_when_asked_again():
    asking = make_learning(2)
    one, two = (make_annotator(asking) for _ in range(2))
    first, second = places(asking)
    answer(asking, first.item, one)
    first.item.refresh_from_db()
    assert first.item.label.name == "cat"
    assert [item.pk for item in claim(asking, two, 5)] == [second.item_id]
    assert ask_again(asking=asking, places=[first.pk, second.pk]) == [first.pk]
    assert ask_again(asking=asking, places=[first.pk]) == []  # it waits for an answer already
    assert [item.pk for item in claim(asking, two, 5)] == [first.item_id]


def test_a_round_made_by_its_form_hands_out_in_the_order_of_the_last_training(client):
    dataset = make_dataset()
    items = [make_item(dataset).pk for _ in range(6)]
    client.force_login(make_member(dataset, Role.LEAD))
    form = reverse("labeling:new_round", args=[dataset.slug])
    assert "What teaches the model most: random until" in client.get(form).text
    assert "learning" not in client.get(form, {"kind": "verify"}).text
    sent = {"kind": "classify", "name": "r", "which": "all", "order": "learning"}
    client.post(form, {**sent, "answers_wanted": 2})
    asking = dataset.rounds.get()
    round_page = reverse("labeling:round", args=[dataset.slug, asking.pk])
    assert "In random order so far: the" in client.get(round_page).text
    by_worth = [asking.round_items.get(item=pk).pk for pk in reversed(items)]
    set_order(asking=asking, places=by_worth, run=3, now=NOW)
    address = reverse("labeling:annotate_claims", args=[asking.pk])
    told = client.post(address, '{"count": 5}', content_type="application/json").json()
    assert [row["item"] for row in told["items"]] == items[:0:-1]
    page = client.get(round_page).text
    assert "at most 2, what teaches the model most first" in page
    assert "Run 3</a> put 6 items in order" in page
    close_round(asking=asking, now=NOW)
    assert "puts in order anew" not in client.get(round_page).text


def test_browse_asks_what_it_shows_in_a_learning_order(client):
    dataset = make_dataset()
    shown = [make_item(dataset, split=split).pk for split in ("train", "train", "test")][:2]
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("quality:ask", args=[dataset.slug]) + "?split=train"
    assert 'value="learning"' in client.get(address).text
    assert 'value="learning"' not in client.get(address + "&kind=verify").text
    client.post(
        address, {"kind": "classify", "name": "r", "order": "learning", "answers_wanted": 1}
    )
    asking = dataset.rounds.get()
    assert asking.is_learning
    assert sorted(asking.round_items.values_list("item", flat=True)) == shown


def test_where_two_differ_a_third_decides_and_where_nobody_agrees_there_is_no_label():
    asking = make_learning(2)
    LabelClass.objects.create(dataset=asking.dataset, name="cow", position=2)
    people = [make_annotator(asking) for _ in range(3)]
    for place, said in zip(places(asking), (("cat", "dog", "dog"), ("cat", "dog", "cow"))):
        answer(asking, place.item, people[0], said[0])
        ask_again(asking=asking, places=[place.pk])
        for person, word in zip(people[1:], said[1:]):
            answer(asking, place.item, person, word)
    agreed, split = places(asking)
    assert (agreed.state, agreed.item.label.name) == ("settled", "dog")
    assert (split.state, split.item.label) == ("disputed", None)
    assert ask_again(asking=asking, places=[agreed.pk, split.pk]) == []  # three was the most


def test_what_a_lead_decided_and_what_is_closed_is_not_asked_again():
    asking = make_learning(2)
    person = make_annotator(asking)
    for place in places(asking):
        answer(asking, place.item, person)
    reviewed, other = places(asking)
    dog = asking.dataset.classes.get(name="dog")
    labels.set_labels(labels={reviewed.item_id: dog}, source=LabelSource.REVIEW)
    assert ask_again(asking=asking, places=[reviewed.pk]) == []
    close_round(asking=asking, now=NOW)
    assert ask_again(asking=asking, places=[other.pk]) == []


def test_an_answer_taken_back_takes_its_label_along_while_another_person_is_asked():
    asking = make_learning(1)
    person = make_annotator(asking)
    (place,) = places(asking)
    given = answer(asking, place.item, person).annotation
    ask_again(asking=asking, places=[place.pk])
    withdraw_annotation(round=asking, annotator=person, client_id=given.client_id, now=NOW)
    place.refresh_from_db()
    assert place.item.label is None
    assert (place.state, place.taken, place.wanted) == ("open", 1, 2)


def test_people_are_given_the_new_order_from_its_start_wherever_they_were():
    asking = make_learning(8)
    early, late = make_annotator(asking), make_annotator(asking)
    for item in claim(asking, early, 2):
        answer(asking, item, early)
    held = claim(asking, late, 1)
    free = [row.pk for row in places(asking) if row.taken < row.wanted]
    wanted = free[::-1]
    set_order(asking=asking, places=wanted, run=1, now=NOW)
    items = dict(asking.round_items.values_list("pk", "item_id"))
    answer(asking, held[0], late)  # it stayed where it was
    assert [item.pk for item in claim(asking, late, 2)] == [items[pk] for pk in wanted[:2]]
    assert [item.pk for item in claim(asking, early, 9)] == [items[pk] for pk in wanted[2:]]


def test_a_tenth_is_drawn_by_lot_and_tells_how_often_the_model_is_right(client):
    asking = make_learning(40, wanted=1)
    drawn = asking.round_items.filter(is_random=True)
    assert drawn.count() == 4
    extend_round(
        asking=asking,
        items=[make_item(asking.dataset).pk for _ in range(20)],
        answers_wanted=5,
    )
    assert drawn.count() == 6
    assert set(asking.round_items.values_list("wanted", flat=True)) == {1}
    person, cat = make_annotator(asking), asking.dataset.classes.get(name="cat")
    assert model_accuracy(asking) is None
    for number, place in enumerate(drawn.order_by("pk")):
        answer(asking, place.item, person, "cat" if number % 3 else "dog")
    Suggestion.objects.bulk_create(
        Suggestion(item=item, label=cat, probability=0.9)
        for item in Item.objects.filter(dataset=asking.dataset)
    )
    found, count = model_accuracy(asking)
    assert (round(found.value, 3), count) == (0.667, 6)
    client.force_login(make_member(asking.dataset, Role.LEAD))
    page = client.get(reverse("labeling:round", args=[asking.dataset.slug, asking.pk]))
    assert "on 6 items drawn by lot" in page.text
    asking.suggesting = "before"
    assert model_accuracy(asking) is None  # people have seen what the model thinks


def test_the_form_offers_the_order_for_rounds_that_ask_for_a_class(client):
    dataset = make_dataset()
    for _ in range(12):
        make_item(dataset)
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("labeling:new_round", args=[dataset.slug])
    fields = {"name": "r", "which": "all", "order": "learning", "answers_wanted": 3}
    refused = client.post(address, {**fields, "kind": "verify"})
    assert refused.status_code == 422
    client.post(address, {**fields, "kind": "classify"})
    asking = dataset.rounds.get()
    assert asking.is_learning
    assert set(asking.round_items.values_list("wanted", flat=True)) == {1}
    page = client.get(reverse("labeling:round", args=[dataset.slug, asking.pk]))
    assert "what teaches the model most first" in page.text


@pytest.mark.both_databases
@pytest.mark.django_db(transaction=True)
def test_people_answer_while_the_order_changes_and_nobody_is_asked_in_vain():
    asking = make_learning(40, wanted=2)
    people = [make_annotator(asking) for _ in range(4)]
    ended = []

    def work(person):
        while items := claim(asking, person, 3):
            for item in items:
                answer(asking, item, person)
        ended.append(person)

    def change():
        rows = list(asking.round_items.values_list("pk", flat=True))
        for turn in range(30):
            if len(ended) == len(people):
                return
            ask_again(asking=asking, places=rows[turn % 2 :: 2])
            wanted = rows[::-1] if turn % 2 else rows
            set_order(asking=asking, places=wanted, run=turn, now=NOW)

    at_once(change, *(lambda p=p: work(p) for p in people))
    for person in people:  # what opened, or was locked, when everybody had seen the end
        work(person)
    assert not Annotation.objects.filter(is_surplus=True).exists()
    given = Counter(Annotation.objects.values_list("item_id", flat=True))
    for place in asking.round_items.all():
        assert place.taken == place.wanted == given[place.item_id]
        assert place.state == "settled"
