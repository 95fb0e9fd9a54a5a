"""Claims: who holds which item of a round for a while, and when it comes free again."""

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from labeling.models import Annotator, Claim, RoundItem
from labeling.services import labels
from labeling.services.rounds import (
    LEASE,
    claim_items,
    close_round,
    free_expired_claims,
    release_items,
    renew_claims,
    reopen_round,
)
from tests.labeling.test_rounds import NOW, answer, claim, make_annotator, make_asking, row_of

pytestmark = pytest.mark.django_db


def test_a_claim_takes_a_place_and_no_other_annotator_gets_it():
    asking = make_asking(2)
    one, two = make_annotator(asking), make_annotator(asking)
    first = claim(asking, one)
    second = claim(asking, two, 5)
    assert len(first) == len(second) == 1
    assert first != second
    assert claim(asking, two) == []


def test_an_annotator_never_gets_an_item_that_they_hold_or_answered():
    asking = make_asking(2, wanted=3)
    one = make_annotator(asking)
    held = claim(asking, one)
    answer(asking, held[0], one)
    rest = claim(asking, one, 5)
    assert len(rest) == 1
    assert rest != held
    assert claim(asking, one, 5) == []


def test_items_behind_the_last_answer_are_still_found():
    asking = make_asking(3)
    one, two = make_annotator(asking), make_annotator(asking)
    first = claim(asking, one, 1)
    last = claim(asking, two, 2)
    release_items(round=asking, annotator=one, items=[first[0].pk])
    for item in last:
        answer(asking, item, two)
    assert claim(asking, two) == first


def test_a_closed_round_hands_out_nothing_until_it_is_reopened():
    asking = make_asking()
    one = make_annotator(asking)
    close_round(asking=asking, now=NOW)
    assert claim(asking, one) == []
    reopen_round(asking=asking)
    assert len(claim(asking, one)) == 1


def test_items_excluded_after_the_round_was_made_are_not_handed_out():
    asking = make_asking(1)
    labels.exclude_items(items=[asking.round_items.get().item_id], reason="blank")
    assert claim(asking, make_annotator(asking)) == []


def test_an_expired_claim_gives_its_place_back_exactly_once():
    asking = make_asking(1)
    one, two = make_annotator(asking), make_annotator(asking)
    (item,) = claim(asking, one)
    late = NOW + LEASE + timedelta(seconds=1)
    assert free_expired_claims(now=NOW) == 0
    assert [free_expired_claims(now=late), free_expired_claims(now=late)] == [1, 0]
    assert row_of(item).taken == 0
    assert claim(asking, two) == [item]


def test_a_renewed_claim_lives_on():
    asking = make_asking(1)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    soon = NOW + LEASE / 2
    assert renew_claims(round=asking, annotator=one, items=[item.pk, 999], now=soon) == [item.pk]
    assert free_expired_claims(now=NOW + LEASE + timedelta(seconds=1)) == 0


def test_a_request_made_again_after_a_lost_reply_is_given_the_same_items():
    asking = make_asking(5)
    one, two = make_annotator(asking), make_annotator(asking)
    lost, other_tab = uuid.uuid4(), uuid.uuid4()

    def ask(request: uuid.UUID, person: Annotator = one) -> list[int]:
        wished = {"count": 2, "now": NOW, "client_id": request}
        return [row.item_id for row in claim_items(round=asking, annotator=person, **wished)]

    first = ask(lost)
    in_other_tab = ask(other_tab)
    assert ask(lost) == first
    assert not set(first) & set(in_other_tab)
    assert not set(ask(lost, two)) & {*first, *in_other_tab}
    assert set(asking.round_items.values_list("taken", flat=True)) == {1}
    assert Claim.objects.filter(annotator=one).count() == 4


def test_a_request_made_again_asks_for_nothing_that_was_answered_meanwhile():
    asking = make_asking(4)
    annotator = make_annotator(asking)
    wished = {"annotator": annotator, "count": 2, "now": NOW, "client_id": uuid.uuid4()}
    first, second = claim_items(round=asking, **wished)
    answer(asking, first.item, annotator)
    again = [row.item_id for row in claim_items(round=asking, **wished)]
    assert again[0] == second.item_id
    assert first.item_id not in again


def test_releasing_gives_back_only_what_one_holds():
    asking = make_asking(2)
    one, two = make_annotator(asking), make_annotator(asking)
    (item,) = claim(asking, one)
    assert release_items(round=asking, annotator=two, items=[item.pk]) == 0
    assert release_items(round=asking, annotator=one, items=[item.pk]) == 1
    assert row_of(item).taken == 0


def test_claiming_walks_the_index_of_free_places():
    asking = make_asking(1)
    free = RoundItem.objects.filter(round=asking, state="open", taken__lt=F("wanted"))
    plan = free.order_by("position")[:5].explain()
    if connection.vendor == "sqlite":  # PostgreSQL reads a table of one row as a whole
        assert "round_item_free" in plan
