"""Rounds when several people answer at the same moment: no place is lost or given twice."""

import uuid
from collections import Counter

import pytest

from labeling.models import Annotation, Annotator, Claim, Item
from labeling.services.rounds import LEASE, claim_items, free_expired_claims, release_items
from tests.at_once import at_once
from tests.labeling.test_gold import make_mixed
from tests.labeling.test_rounds import NOW, answer, claim, make_annotator, make_asking

pytestmark = pytest.mark.both_databases
CLIENTS = 8
BUSY_ITEMS = 60


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("wanted", [1, 3])
def test_eight_people_at_once_waste_no_answer(wanted):
    asking = make_asking(BUSY_ITEMS, wanted=wanted)
    people = [make_annotator(asking) for _ in range(CLIENTS)]
    outcomes: Counter[str] = Counter()

    def work(annotator: Annotator, number: int) -> None:
        while items := claim(asking, annotator, 1 + number % 3):
            for place, item in enumerate(items):
                if number == 0 and place == 1:  # an impatient one gives some back
                    release_items(round=asking, annotator=annotator, items=[item.pk])
                    continue
                client_id = uuid.uuid4()
                for _ in range(1 + number % 2):  # and some send everything twice
                    given = answer(asking, item, annotator, client_id=client_id)
                outcomes[given.outcome] += 1

    at_once(*(lambda p=p, n=n: work(p, n) for n, p in enumerate(people)))
    left = [row for row in asking.round_items.all() if row.taken < row.wanted]
    for row in left:  # given back after everybody else had seen the end
        for annotator in people:
            if not Annotation.objects.filter(item=row.item, annotator=annotator).exists():
                outcomes[answer(asking, row.item, annotator).outcome] += 1
                break
    assert outcomes["surplus"] == outcomes["repeated"] == 0
    counts = Counter(Annotation.objects.values_list("item_id", flat=True))
    assert set(counts.values()) == {wanted}
    assert len(counts) == BUSY_ITEMS
    states = set(asking.round_items.values_list("state", "taken"))
    assert states == {("settled", wanted)}
    assert Claim.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_gold_mixed_in_for_everybody_at_once_wastes_no_answer_and_is_asked_once_each():
    asking = make_mixed(40, golds=8, every=3, wanted=2)
    people = [make_annotator(asking) for _ in range(CLIENTS)]

    def work(annotator: Annotator) -> None:
        while items := claim(asking, annotator, 3):
            for item in items:
                answer(asking, item, annotator)

    at_once(*(lambda p=p: work(p) for p in people))
    assert not Annotation.objects.filter(is_surplus=True).exists()
    ordinary = Annotation.objects.filter(is_gold=False)
    assert set(Counter(ordinary.values_list("item_id", flat=True)).values()) == {2}
    assert Annotation.objects.filter(is_gold=True).exists()
    assert Claim.objects.count() == 0
    for place in asking.round_items.filter(state="gold"):
        assert place.taken == Annotation.objects.filter(item=place.item).count()


@pytest.mark.django_db(transaction=True)
def test_answers_expiry_and_release_at_once_give_a_place_back_once():
    asking = make_asking(40, wanted=2)
    one, two = make_annotator(asking), make_annotator(asking)
    mine = [claim(asking, person, 20) for person in (one, two)]
    late = NOW + LEASE * 2

    def answer_all(person: Annotator, items: list[Item]) -> None:
        for item in items:
            answer(asking, item, person)

    at_once(
        lambda: answer_all(one, mine[0]),
        lambda: answer_all(two, mine[1]),
        lambda: free_expired_claims(now=late),
        lambda: free_expired_claims(now=late),
        lambda: release_items(round=asking, annotator=one, items=[item.pk for item in mine[0]]),
    )
    assert Claim.objects.count() == 0
    counts = Counter(Annotation.objects.values_list("item_id", flat=True))
    for row in asking.round_items.all():
        assert row.taken == counts[row.item_id]


@pytest.mark.django_db(transaction=True)
def test_one_request_made_many_times_at_once_reserves_its_items_once():
    asking = make_mixed(30, golds=8, every=2, wanted=3)
    wished = {"annotator": make_annotator(asking), "count": 4, "now": NOW}
    wished["client_id"] = uuid.uuid4()
    given: list[list[int]] = []

    def work() -> None:
        given.append([row.pk for row in claim_items(round=asking, **wished)])

    at_once(*[work] * CLIENTS)
    assert len({tuple(places) for places in given}) == 1
    assert Claim.objects.count() == 4
    for place in asking.round_items.all():
        assert place.taken == place.claims.count()


@pytest.mark.django_db(transaction=True)
def test_one_person_who_asks_from_many_programs_at_once_holds_each_item_once():
    asking = make_mixed(30, golds=8, every=2, wanted=3)
    annotator = make_annotator(asking)

    def work() -> None:
        for _ in range(4):
            claim(asking, annotator, 1)

    at_once(*[work] * CLIENTS)
    assert Claim.objects.count() == 4 * CLIENTS
    for place in asking.round_items.all():
        assert place.taken == place.claims.count()
