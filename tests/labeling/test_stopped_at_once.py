"""A pause or an archive while claims and answers are under way: none is lost, nothing blocks."""

import threading
import time
from collections import Counter

import pytest
from django.db import transaction
from django.db.models import F

from labeling.models import Annotation, Annotator, Claim, Round
from labeling.queries.waiting import waiting_in
from labeling.services import datasets, guards
from labeling.services.annotations import withdraw_annotation
from labeling.services.rounds import (
    LEASE,
    NothingToAskError,
    claim_items,
    close_round,
    free_expired_claims,
    lock_annotator,
    release_items,
    renew_claims,
    reopen_round,
)
from tests.at_once import at_once
from tests.factories import make_member
from tests.labeling.test_qualifications import make_person, make_test
from tests.labeling.test_rounds import NOW, answer, claim, make_annotator, make_asking

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db(transaction=True)]
PEOPLE = 6
AT_ONCE_SECONDS = 0.3  # long enough for another thread to reach the lock


def places_add_up(asking: Round) -> None:
    """Every place counts its answers and its live claims, and no more."""
    counted = Annotation.objects.filter(round=asking, is_surplus=False, withdrawn_at__isnull=True)
    answers = Counter(counted.exclude(answer="skip").values_list("item_id", flat=True))
    held = Counter(Claim.objects.values_list("round_item__item_id", flat=True))
    for row in asking.round_items.all():
        assert row.taken == answers[row.item_id] + held[row.item_id]


def test_who_is_paused_amid_claims_and_answers_loses_none_and_blocks_nothing():
    asking = make_asking(60, wanted=2)
    lead = make_member(asking.dataset, "lead")
    people = [make_annotator(asking) for _ in range(PEOPLE)]
    given: Counter[int] = Counter()
    begun = [threading.Event() for _ in people]

    def work(person: Annotator, is_working: threading.Event) -> None:
        while items := claim(asking, person, 4):
            for item in items:
                outcome = answer(asking, item, person).outcome
                assert outcome in ("counted", "surplus")
                given[person.pk] += 1
                is_working.set()
        is_working.set()

    def stop(person: Annotator, is_working: threading.Event) -> None:
        is_working.wait(timeout=60)
        guards.pause(annotator=person, text="call me", by=lead, now=NOW)

    stopped = list(zip(people, begun))[: PEOPLE // 2]
    acts = [lambda p=p, b=b: work(p, b) for p, b in zip(people, begun)]
    at_once(*acts, *(lambda p=p, b=b: stop(p, b) for p, b in stopped))
    for person in people:
        kept = Annotation.objects.filter(annotator=person, withdrawn_at__isnull=True)
        assert kept.count() == given[person.pk]
    for person, _ in stopped:
        assert Claim.objects.filter(annotator=person).count() <= 1  # what is on their screen
        assert claim(asking, person, 4) == []
    places_add_up(asking)
    free_expired_claims(now=NOW + LEASE * 2)
    assert not Claim.objects.exists()
    for _ in range(2):  # what the paused ones held is handed to others
        work(make_annotator(asking), threading.Event())
    assert not asking.round_items.filter(taken__lt=F("wanted")).exists()


def test_undo_and_renewal_beside_a_pause_hold_nothing_but_what_is_on_the_screen():
    asking = make_asking(3 * PEOPLE, wanted=1)
    lead = make_member(asking.dataset, "lead")
    people = [make_annotator(asking) for _ in range(PEOPLE)]
    given = {
        person: [answer(asking, item, person).annotation for item in claim(asking, person, 3)]
        for person in people
    }

    def undo(person: Annotator) -> None:
        for row in given[person]:
            withdraw_annotation(round=asking, annotator=person, client_id=row.client_id, now=NOW)

    def stop(person: Annotator) -> None:
        guards.pause(annotator=person, text="call me", by=lead, now=NOW)

    at_once(*(lambda p=p, act=act: act(p) for p in people for act in (undo, stop)))
    for person in people:
        assert Claim.objects.filter(annotator=person).count() <= 1
        items = [row.item_id for row in given[person]]
        renew_claims(round=asking, annotator=person, items=items, now=NOW + LEASE / 2)
    places_add_up(asking)
    free_expired_claims(now=NOW + LEASE * 1.1)
    other = make_annotator(asking)
    assert len(claim(asking, other, 20)) == 3 * PEOPLE  # all of it is free again


def test_an_undo_after_the_pause_gives_the_place_to_somebody_else():
    asking = make_asking(1, wanted=1)
    person, other = make_annotator(asking), make_annotator(asking)
    (item,) = claim(asking, person)
    given = answer(asking, item, person).annotation
    lead = make_member(asking.dataset, "lead")
    guards.pause(annotator=person, text="call me", by=lead, now=NOW)
    held = withdraw_annotation(round=asking, annotator=person, client_id=given.client_id, now=NOW)
    assert not held
    assert claim(asking, other) == [item]
    places_add_up(asking)


def test_an_answer_to_a_qualification_and_a_pause_do_not_wait_for_each_other():
    asking = make_test(items=3)
    person = make_person(asking)
    row, *_rest = claim_items(round=asking, annotator=person, count=3, now=NOW)

    is_held = threading.Event()

    def pause_slowly() -> None:
        with transaction.atomic():
            lock_annotator(person)
            is_held.set()
            time.sleep(AT_ONCE_SECONDS)
            release_items(round=asking, annotator=person, items=[row.item_id])

    def answer_meanwhile() -> None:
        is_held.wait(timeout=60)
        answer(asking, row.item, person)

    at_once(pause_slowly, answer_meanwhile)
    assert Annotation.objects.filter(annotator=person, is_surplus=False).count() == 1
    places_add_up(asking)


def test_no_round_opens_in_a_dataset_that_is_archived_at_the_same_moment():
    asking = make_asking(1)
    dataset = asking.dataset
    close_round(asking=asking, now=NOW)
    refused = []
    is_archived, is_open = threading.Event(), threading.Event()

    def archive_slowly() -> None:
        with transaction.atomic():
            datasets.archive_dataset(dataset=dataset, now=NOW)
            is_archived.set()
            time.sleep(AT_ONCE_SECONDS)

    def open_meanwhile() -> None:
        is_archived.wait(timeout=60)
        try:
            reopen_round(asking=asking)
        except NothingToAskError as error:
            refused.append(str(error))

    at_once(archive_slowly, open_meanwhile)
    assert not dataset.rounds.filter(closed_at__isnull=True).exists()
    assert len(refused) == 1

    datasets.bring_back_dataset(dataset=dataset)

    def open_slowly() -> None:
        with transaction.atomic():
            reopen_round(asking=asking)
            is_open.set()
            time.sleep(AT_ONCE_SECONDS)

    def archive_meanwhile() -> None:
        is_open.wait(timeout=60)
        datasets.archive_dataset(dataset=dataset, now=NOW)

    at_once(open_slowly, archive_meanwhile)
    assert not dataset.rounds.filter(closed_at__isnull=True).exists()


def test_answers_under_way_while_the_dataset_is_archived_are_kept_and_it_goes_on():
    asking = make_asking(40, wanted=1)
    dataset = asking.dataset
    people = [make_annotator(asking) for _ in range(4)]
    outcomes: list[str] = []
    is_working = threading.Event()

    def work(person: Annotator) -> None:
        while items := claim(asking, person, 2):
            for item in items:
                outcomes.append(answer(asking, item, person).outcome)
            is_working.set()

    def archive() -> None:
        is_working.wait(timeout=60)
        datasets.archive_dataset(dataset=dataset, now=NOW)

    at_once(archive, *(lambda p=p: work(p) for p in people))
    assert claim(asking, people[0]) == []
    asking.refresh_from_db()
    assert waiting_in(asking, people[0], now=NOW).state == "closed"
    assert set(outcomes) == {"counted"}
    assert Annotation.objects.count() == len(outcomes)
    places_add_up(asking)
    dataset.refresh_from_db()
    at_once(*(lambda: datasets.bring_back_dataset(dataset=dataset) for _ in range(2)))
    asking.refresh_from_db()
    work(people[1])
    assert Annotation.objects.filter(is_surplus=False).count() == 40


def test_who_brings_back_what_was_archived_anew_opens_the_rounds_of_now():
    asking = make_asking(1)
    dataset = asking.dataset
    datasets.archive_dataset(dataset=dataset, now=NOW)
    dataset.refresh_from_db()  # as the page of one owner has it
    datasets.bring_back_dataset(dataset=dataset)
    datasets.archive_dataset(dataset=dataset, now=NOW + LEASE)
    datasets.bring_back_dataset(dataset=dataset)
    assert dataset.rounds.filter(closed_at__isnull=True).exists()
