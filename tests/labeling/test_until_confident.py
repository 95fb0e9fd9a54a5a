"""Rounds that ask until sure: trusted people settle an item early, others are asked for more."""

import pytest
from django.urls import reverse

from labeling.models import Annotation, Round, RoundItem
from tests.factories import make_asking, make_dataset, make_item, make_member
from tests.labeling.test_gold import give_gold, make_mixed
from tests.labeling.test_rounds import answer, claim, make_annotator

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def make_sure(asking: Round, items: int = 1, *, least: int = 2, most: int = 4) -> Round:
    """A round that asks until .9 sure, of the dataset of another one."""
    rows = [make_item(asking.dataset).pk for _ in range(items)]
    return make_asking(
        asking.dataset, rows, name="sure", answers_wanted=most, confident=0.9, answers_least=least
    )


def place(asking: Round) -> RoundItem:
    return asking.round_items.get()


def test_two_trusted_people_who_agree_are_enough():
    checks = make_mixed(1, golds=12)
    people = [make_annotator(checks) for _ in range(3)]
    for person in people:
        give_gold(checks, person, "dog", n=12)
    asking = make_sure(checks)
    for person in people[:2]:
        answer(asking, claim(asking, person)[0], person, "cat")
    assert (place(asking).state, place(asking).wanted) == ("settled", 2)
    item = place(asking).item
    assert item.label
    assert item.label.name == "cat"
    assert item.label_changes.get().confidence > 0.9
    assert claim(asking, people[2]) == []


def test_people_who_disagree_make_the_round_ask_one_more_until_the_most():
    checks = make_mixed(1, golds=1)
    asking = make_sure(checks, most=4)
    people = [make_annotator(asking) for _ in range(5)]
    wanted = []
    for person, said in zip(people, ("cat", "dog", "cat", "dog")):
        answer(asking, claim(asking, person)[0], person, said)
        wanted.append(place(asking).wanted)
    assert wanted == [2, 3, 4, 4]
    assert place(asking).state == "disputed"
    assert claim(asking, people[4]) == []
    assert not Annotation.objects.filter(is_surplus=True).exists()


def test_nobody_unknown_is_believed_before_more_have_answered():
    asking = make_sure(make_mixed(1, golds=1), most=5)
    for _ in range(5):
        person = make_annotator(asking)
        answer(asking, claim(asking, person)[0], person, "cat")
    assert (place(asking).state, place(asking).taken) == ("settled", 5)


def test_a_lead_chooses_it_in_the_form_and_the_page_says_it(client):
    dataset = make_dataset()
    make_item(dataset)
    client.force_login(make_member(dataset))
    url = reverse("labeling:new_round", args=[dataset.slug])
    sent = {"name": "r", "kind": "classify", "which": "all", "answers_wanted": 3}
    refused = client.post(url, {**sent, "confident": "0.9", "answers_least": 4})
    assert refused.status_code == 422
    client.post(url, {**sent, "confident": "0.9"})
    made = Round.objects.get()
    assert (made.answers_wanted, made.answers_least, made.confident) == (3, 2, 0.9)
    words = client.get(reverse("labeling:round", args=[dataset.slug, made.pk])).content.decode()
    assert "from 2 on until .900 sure" in words
