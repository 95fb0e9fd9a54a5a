"""Pilots: one half of the people reads each wording; answers count once the lead says so."""

import random
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Item, Role, Round
from labeling.queries.crowd import answers_in
from labeling.queries.disputes import open_disputes
from labeling.queries.pilots import comparison_of, rounds_of
from labeling.services import gold, pilots
from labeling.services.annotations import annotator_for
from labeling.services.rounds import NothingToAskError, claim_items, extend_round
from tests.factories import make_dataset, make_item, make_member
from tests.labeling.test_rounds import NOW, answer

pytestmark = pytest.mark.django_db
WORDINGS = (("What is it?", "Look."), ("Which animal is it?", "Look at the **ears**."))


def make_pilot(*, people: int = 8, items: int = 20, wanted: int = 2) -> Round:
    dataset = make_dataset()
    for _ in range(people):
        make_member(dataset, Role.ANNOTATOR)
    asked = [make_item(dataset, f"i{number:02}").pk for number in range(items)]
    return pilots.make_pilot(
        dataset=dataset, name="Two ways", items=asked, wordings=WORDINGS, answers_wanted=wanted,
        rng=random.Random(0),
    )  # fmt: skip


def work_through(asking: Round, *, wrong: float, seed: int = 0) -> None:
    """Let everybody of a round answer; even items are cats, odd ones dogs."""
    rng = random.Random(seed)
    people = [annotator_for(dataset=asking.dataset, user=user) for user in asking.people.all()]
    while True:
        rng.shuffle(people)
        claimed = [
            (person, row)
            for person in people
            for row in claim_items(round=asking, annotator=person, count=1, now=NOW)
        ]
        if not claimed:
            return
        for person, row in claimed:
            names = ["cat", "dog"] if int(row.item.key[1:]) % 2 == 0 else ["dog", "cat"]
            answer(asking, row.item, person, names[rng.random() < wrong], seconds=2.0)


def test_the_people_are_dealt_in_halves_and_all_items_are_asked_under_both_wordings():
    first, second = rounds_of(make_pilot(people=9))
    halves = set(first.people.all()), set(second.people.all())
    assert {len(half) for half in halves} == {4, 5}
    assert not halves[0] & halves[1]
    assert [row.asks for row in (first, second)] == ["What is it?", "Which animal is it?"]
    assert first.round_items.count() == second.round_items.count() == 20


@pytest.mark.parametrize(("people", "wanted"), [(3, 1), (6, 4)])
def test_too_few_people_are_refused_in_words(people: int, wanted: int):
    with pytest.raises(NothingToAskError, match="people or more"):
        make_pilot(people=people, wanted=wanted)


def test_nothing_counts_until_the_lead_says_so_and_that_can_be_taken_back():
    first, second = rounds_of(make_pilot())
    lead = make_member(first.dataset)
    for asking in (first, second):
        work_through(asking, wrong=0.0)
    items = Item.objects.filter(dataset=first.dataset)
    assert not items.exclude(label=None).exists()
    assert not answers_in(first.dataset).exists()
    assert not open_disputes(first.dataset).exists()
    assert pilots.count_answers(pilot=first, names="AB", by=lead, now=NOW) == 20
    assert {row.label.name for row in items if int(row.key[1:]) % 2} == {"dog"}
    assert answers_in(first.dataset).count() == 80
    assert pilots.stop_counting(pilot=first, by=lead) == 20
    assert not items.exclude(label=None).exists()
    assert not answers_in(first.dataset).exists()


def test_a_wording_that_confuses_shows_in_agreement_gold_and_pairs(client: Client):
    first, second = rounds_of(make_pilot(people=10, items=40, wanted=3))
    lead = make_member(first.dataset)
    known = {
        item.pk: first.dataset.classes.get(name="dog" if int(item.key[1:]) % 2 else "cat").pk
        for item in first.dataset.items.all()
    }
    gold.use_as_gold(labels=known, dataset=first.dataset, by=lead, now=NOW)
    work_through(first, wrong=0.02)
    work_through(second, wrong=0.4)
    found = comparison_of(second)  # from either round
    assert [row.name for row in found.shown] == ["alpha", "gold"]
    alpha, _doubtful, right, seconds = found.measures
    assert alpha.high < 0
    assert right.first > 0.9 > 0.75 > right.second
    assert seconds.difference == pytest.approx(1.0)
    (pair,) = found.pairs
    assert pair.second > 0.3 > pair.first
    client.force_login(lead)
    for count, address in zip(pair.items, pair.urls):
        pages = [client.get(f"{address}&page={n}").context["answers"] for n in (1, 2)]
        assert len({row.given.item_id for page in pages for row in page.rows}) == count
        assert pages[0].total == 3 * count  # all three answers of each name one of the two


def test_each_figure_opens_the_answers_behind_it_worst_first(client: Client):
    first, second = rounds_of(make_pilot(people=6, items=3, wanted=3))
    lead, names = make_member(first.dataset), ["i00", "i01", "i02"]
    known = first.dataset.classes.get(name="cat").pk
    items = {item.key: item for item in first.dataset.items.all()}
    gold.use_as_gold(
        labels={items[key].pk: known for key in names[:2]}, dataset=first.dataset, by=lead, now=NOW
    )
    said = {
        "i00": ("cat", "cat", "dog"),  # a third of the pairs agree
        "i01": ("dog", "dog", "dog"),  # all agree, and all are wrong
        "i02": ("cat", "unsure", "unsure"),
    }
    for number, user in enumerate(second.people.order_by("pk")):
        person = annotator_for(dataset=first.dataset, user=user)
        for key in names:
            seconds = 1.0 + 3 * (key == "i02") + number
            answer(second, items[key], person, said[key][number], seconds=seconds)
    work_through(first, wrong=0.0)
    alpha, doubtful, right, seconds = comparison_of(first).measures
    client.force_login(lead)

    def listed(address: str) -> list[tuple[str, str]]:
        rows = client.get(address).context["answers"].rows
        return [(row.given.item.key, str(row.given.label or row.given.answer)) for row in rows]

    assert [row.urls[0] for row in (alpha, doubtful)] == ["", ""]  # under A all is perfect
    assert listed(alpha.urls[1]) == [("i00", "cat"), ("i00", "cat"), ("i00", "dog")]
    assert listed(doubtful.urls[1]) == [("i02", "unsure")] * 2
    assert listed(right.urls[1]) == [("i01", "dog")] * 3 + [("i00", "dog")]
    assert [key for key, _ in listed(seconds.urls[1])][:2] == ["i02", "i02"]
    page = client.get(reverse("labeling:pilot", args=[first.dataset.slug, first.pk])).text
    assert page.count("worst=") == 6
    shown = client.get(alpha.urls[1]).text
    assert "of items on which people disagree, the worst first in “Two ways”, wording B" in shown


def test_the_same_wording_twice_shows_no_difference():
    first, second = rounds_of(make_pilot(people=10, items=40, wanted=3))
    work_through(first, wrong=0.1, seed=1)
    work_through(second, wrong=0.1, seed=2)
    assert comparison_of(first).shown == []


def test_a_used_wording_is_the_question_and_a_new_version_of_the_guideline():
    first, second = rounds_of(make_pilot())
    made = pilots.use_wording(asking=second, by=make_member(first.dataset))
    first.dataset.refresh_from_db()
    assert first.dataset.question == "Which animal is it?"
    assert (made.number, made.text) == (1, "Look at the **ears**.")


def test_a_lead_makes_reads_and_counts_a_pilot(client: Any):
    dataset = make_dataset()
    for _ in range(4):
        make_member(dataset, Role.ANNOTATOR)
    for number in range(6):
        make_item(dataset, f"i{number:02}")
    client.force_login(make_member(dataset, Role.LEAD))
    url = reverse("labeling:new_round", args=[dataset.slug])
    page = client.get(url, {"kind": "pilot"}).text
    assert "Question, wording B" in page
    sent = {"kind": "pilot", "name": "Ears", "which": "all", "answers_wanted": 2}
    sent |= {"question_a": "What?", "question_b": "What?"}
    refused = client.post(url, sent)
    assert "Both wordings are the same" in refused.text
    page = client.post(url, {**sent, "guideline_b": "Look at the ears"}, follow=True).text
    assert "Not enough answers yet" in page
    for asking in dataset.rounds.all():
        work_through(asking, wrong=0.0)
    first = dataset.rounds.order_by("pk").first()
    pilot = reverse("labeling:pilot", args=[dataset.slug, first.pk])
    assert "With fewer than eight, none can be" in client.get(pilot).text
    act = reverse("labeling:pilot_act", args=[dataset.slug, first.pk])
    assert "6 items got another label" in client.post(act, {"act": "count:AB"}, follow=True).text
    assert "guideline v1" in client.post(act, {"act": "use:B"}, follow=True).text
    assert client.get(reverse("labeling:round", args=[dataset.slug, first.pk])).status_code == 200


def test_people_read_the_wording_of_their_half_alone(client: Any):
    for asking in rounds_of(make_pilot()):
        client.force_login(asking.people.first())
        page = client.get(reverse("labeling:annotate", args=[asking.pk])).text
        is_second = asking.wording["name"] == "B"
        assert ("Which animal is it?" in page) == is_second
        assert ("<strong>ears</strong>" in page) == is_second
        work = client.get(reverse("labeling:my_work")).text
        assert work.count("Two ways</h2>") == 1


def test_further_items_are_asked_about_under_both_wordings():
    first, second = rounds_of(make_pilot())
    more = make_item(first.dataset, "more").pk
    extend_round(asking=second, items=[more], answers_wanted=2)
    assert [row.round_items.filter(item=more).count() for row in (first, second)] == [1, 1]
