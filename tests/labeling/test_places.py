"""Who is given which place: nobody their own answer to verify, and never nothing without a why."""

import uuid
from datetime import timedelta

import pytest

from labeling.models import Annotator, Item, Round, User
from labeling.queries import places
from labeling.queries import rounds as queries
from labeling.queries.waiting import waiting_in
from labeling.services.annotations import OwnAnswerError, record_annotation, withdraw_annotation
from labeling.services.labels import exclude_items
from labeling.services.rounds import LEASE, claim_items
from tests import factories
from tests.labeling.test_rounds import NOW, answer, claim, make_annotator, make_asking

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def verify_again(asking: Round) -> Round:
    items = list(asking.round_items.order_by("position").values_list("item_id", flat=True))
    return factories.make_asking(asking.dataset, items, name="check", kind="verify")


def user_of(annotator: Annotator) -> User:
    assert annotator.user
    return annotator.user


def left_for(annotator: Annotator, asking: Round) -> int:
    work = queries.work_for(user_of(annotator), today=NOW)
    return next(row.left for row in work.rounds if row.round == asking)


def test_nobody_is_asked_to_verify_what_they_said_themselves():
    asking = make_asking(2)
    one, two = make_annotator(asking), make_annotator(asking)
    (mine,), (theirs,) = claim(asking, one), claim(asking, two)
    answer(asking, mine, one)
    answer(asking, theirs, two)
    check = verify_again(asking)
    assert claim(check, one, 5) == [theirs]
    assert claim(check, two, 5) == [mine]


def test_an_own_answer_sent_for_verification_is_refused_and_keeps_the_place_free():
    asking = make_asking(1)
    one, two = make_annotator(asking), make_annotator(asking)
    (item,) = claim(asking, one)
    answer(asking, item, one)
    check = verify_again(asking)
    with pytest.raises(OwnAnswerError):
        answer(check, item, one)
    assert claim(check, two) == [item]


def test_a_skip_and_an_earlier_verification_are_no_answers_of_ones_own():
    asking = make_asking(2, kind="verify")
    one = make_annotator(asking)
    skipped, verified = claim(asking, one, 2)
    answer(asking, skipped, one, "skip")
    answer(asking, verified, one)
    check = verify_again(asking)
    assert claim(check, one, 5) == [skipped, verified]


def test_what_is_left_leaves_out_own_answers_and_excluded_items():
    asking = make_asking(5)
    one, two = make_annotator(asking), make_annotator(asking)
    (first,), (second,) = claim(asking, one), claim(asking, two)
    answer(asking, first, one)
    answer(asking, second, two)
    for item in claim(asking, two, 3):
        answer(asking, item, two)
    check = verify_again(asking)
    assert left_for(one, check) == queries.standing(check, one)["left"] == 4
    assert left_for(two, check) == queries.standing(check, two)["left"] == 1
    exclude_items(items=[second.pk], reason="broken")
    assert left_for(one, check) == 3
    assert len(claim(check, one, 20)) == 3


def test_what_is_left_agrees_with_what_is_handed_out_when_answers_are_shared():
    asking = make_asking(6, wanted=2)
    one, two = make_annotator(asking), make_annotator(asking)
    for item in claim(asking, one, 3):
        answer(asking, item, one)
    answer(asking, claim(asking, two)[0], two)
    for person in (one, two):
        assert left_for(person, asking) == len(claim(asking, person, 20))


def test_nothing_less_than_nothing_is_left_when_others_answer_while_it_is_counted():
    asking = make_asking(2, wanted=2)
    one, two = make_annotator(asking), make_annotator(asking)
    for item in claim(asking, one, 2):
        answer(asking, item, one)
    given = places.answers_by_round([asking], [one.pk], since=NOW)
    for item in claim(asking, two, 2):
        answer(asking, item, two)
    assert places.left_in([asking], [one.pk], given=given)[asking.pk] == 0


def test_an_answered_item_that_is_left_out_is_taken_off_once():
    asking = make_asking(4, wanted=2)
    one = make_annotator(asking)
    (item,) = claim(asking, one)
    answer(asking, item, one)
    exclude_items(items=[item.pk], reason="broken")
    assert left_for(one, asking) == queries.standing(asking, one)["left"] == 3


def test_the_total_of_a_round_stays_while_items_are_held_answered_and_taken_back():
    asking = make_asking(6, wanted=2)
    one, two = make_annotator(asking), make_annotator(asking)
    answer(asking, claim(asking, two)[0], two)
    totals = []

    def count() -> None:
        standing = queries.standing(asking, one)
        totals.append(standing["answered"] + standing["left"] + standing["parked"])

    count()
    first, second, _third = claim(asking, one, 3)
    count()
    given = answer(asking, first, one)
    count()
    withdraw_annotation(round=asking, annotator=one, client_id=given.annotation.client_id, now=NOW)
    count()
    answer(asking, second, one, "skip", is_parked=True)
    count()
    assert set(totals) == {6}


def test_someone_who_answered_thousands_goes_on_behind_the_last_one():
    asking = make_asking(6, wanted=2)
    one = make_annotator(asking)
    order = [row.item for row in asking.round_items.order_by("position")]
    for item in order[1:4]:
        answer(asking, item, one)
    assert claim(asking, one, 20) == [*order[4:], order[0]]


def said_to(asking: Round, annotator: Annotator, *, now=NOW) -> str:
    assert claim_items(round=asking, annotator=annotator, count=1, now=now) == []
    return waiting_in(asking, annotator, now=now).words


def test_whoever_gets_nothing_is_told_how_many_items_are_with_others_and_until_when():
    asking = make_asking(3)
    one, two = make_annotator(asking), make_annotator(asking)
    claim(asking, one, 3)
    soon = NOW + LEASE - timedelta(seconds=100)
    assert said_to(asking, two, now=soon) == (
        "Nothing free just now: 3 items are with others, next free in 2 min."
    )


def test_whoever_is_done_is_told_what_waits_for_somebody_else():
    asking = make_asking(2, wanted=2)
    one = make_annotator(asking)
    for item in claim(asking, one, 2):
        answer(asking, item, one)
    assert said_to(asking, one) == (
        "You have answered everything that this round asks of you. 2 items wait for somebody else."
    )


def test_a_late_answer_is_kept_but_not_counted_and_never_settles_twice():
    asking = make_asking(1)
    slow, quick = make_annotator(asking), make_annotator(asking)
    item = Item.objects.get()
    answer(asking, item, quick)
    late = answer(asking, item, slow, "dog")
    assert late.outcome == "surplus"
    again = record_annotation(
        round=asking, item=item.pk, annotator=slow, client_id=uuid.uuid4(), answer="unsure", now=NOW
    )
    assert again.outcome == "repeated"
    item.refresh_from_db()
    assert item.label is not None
    assert item.label.name == "cat"
