"""Qualifications: known items, feedback after each answer, a pass mark, attempts, what needs it."""

import json
import random
import uuid
from typing import Any

import pytest
from django.urls import reverse

from labeling.models import Annotation, Annotator, Dataset, Item, LabelClass, Role, Round
from labeling.queries import gold as gold_queries
from labeling.queries import qualifications as queries
from labeling.queries import rounds as round_queries
from labeling.queries.crowd import answers_in
from labeling.queries.waiting import waiting_in
from labeling.services import gold, qualifications
from labeling.services.annotations import annotator_for, withdraw_annotation
from labeling.services.qualifications import NotNowError, make_qualification
from labeling.services.rounds import (
    NothingToAskError,
    claim_items,
    extend_round,
    release_all,
)
from tests.factories import make_asking, make_dataset, make_item, make_member
from tests.labeling.test_api import make_program
from tests.labeling.test_rounds import NOW, answer

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]


def make_known(dataset: Dataset, *, cats: int, dogs: int) -> list[Item]:
    """Items that an expert knows."""
    names = ["cat"] * cats + ["dog"] * dogs
    items = [make_item(dataset, label=name) for name in names]
    gold.use_labels_as_gold(
        items=[item.pk for item in items], dataset=dataset, by=make_member(dataset), now=NOW
    )
    return items


def make_test(*, items: int = 4, attempts: int = 1, pass_mark: int = 75) -> Round:
    dataset = make_dataset()
    make_known(dataset, cats=items, dogs=items)
    return make_qualification(
        dataset=dataset, name="Entry", count=items, pass_mark=pass_mark, attempts=attempts,
        rng=random.Random(0),
    )  # fmt: skip


def make_person(asking: Round) -> Annotator:
    return annotator_for(dataset=asking.dataset, user=make_member(asking.dataset, Role.ANNOTATOR))


def take(asking: Round, person: Annotator, *, wrong: int = 0) -> None:
    """Answer all of it, the first so many wrongly."""
    other = {"cat": "dog", "dog": "cat"}
    claimed = claim_items(round=asking, annotator=person, count=20, now=NOW)
    for number, row in enumerate(claimed):
        name = row.item.label.name  # the label that an expert confirmed
        answer(asking, row.item, person, other[name] if number < wrong else name)


def test_known_items_of_all_classes_are_drawn_and_too_few_are_refused():
    dataset = make_dataset()
    make_known(dataset, cats=20, dogs=3)
    made = make_qualification(dataset=dataset, name="Entry", count=6, pass_mark=80)
    names = sorted(made.round_items.values_list("item__label__name", flat=True))
    assert names == ["cat", "cat", "cat", "dog", "dog", "dog"]
    with pytest.raises(NothingToAskError, match="Only 23 check items"):
        make_qualification(dataset=dataset, name="Entry", count=24, pass_mark=80)


def test_everybody_answers_every_item_once():
    asking = make_test(items=4)
    for _ in range(3):
        person = make_person(asking)
        take(asking, person)
        assert Annotation.objects.filter(annotator=person, is_surplus=False).count() == 4
        assert not claim_items(round=asking, annotator=person, count=5, now=NOW)


@pytest.mark.parametrize(("wrong", "state"), [(0, "passed"), (1, "passed"), (2, "failed")])
def test_the_pass_mark_decides_once_all_is_answered(wrong: int, state: str):
    asking = make_test(items=4, pass_mark=75)
    person = make_person(asking)
    assert queries.standing_in(asking, person).state == "new"
    take(asking, person, wrong=wrong)
    standing = queries.standing_in(asking, person)
    assert (standing.state, standing.last.right, standing.last.answered) == (state, 4 - wrong, 4)
    assert standing.share.low < (4 - wrong) / 4 <= standing.share.high


def test_its_answers_settle_nothing_and_count_for_no_consensus_and_no_gold_result():
    asking = make_test(items=4)
    take(asking, make_person(asking), wrong=4)
    assert set(asking.round_items.values_list("state", flat=True)) == {"open"}
    assert not answers_in(asking.dataset).exists()
    assert not gold_queries.answers(asking.dataset).exists()
    labels = Item.objects.filter(dataset=asking.dataset).values_list("label_source", flat=True)
    assert set(labels) == {"import"}


def test_another_attempt_asks_other_items_as_long_as_enough_are_known():
    asking = make_test(items=4, attempts=3)  # of eight that are known
    person, beside = make_person(asking), make_person(asking)
    asked = []
    for _ in range(3):
        take(asking, person, wrong=4)
        given = Annotation.objects.filter(annotator=person, withdrawn_at__isnull=True)
        asked.append(set(given.values_list("item", flat=True)))
        assert queries.standing_in(asking, person).last.answered == 4
        assert round_queries.standing(asking, person)["left"] == 0
        if len(asked) < 3:
            qualifications.start_again(asking=asking, annotator=person, now=NOW)
            assert round_queries.standing(asking, person)["left"] == 4
            (work,) = round_queries.work_for(person.user, today=NOW).rounds
            assert work.left == 4
    assert [len(items) for items in asked] == [4, 4, 4]
    assert not asked[0] & asked[1]
    assert asked[2] == asked[0]  # nothing new is left
    take(asking, beside)
    first = Annotation.objects.filter(annotator=beside).values_list("item", flat=True)
    assert set(first) == asked[0]
    assert queries.standing_in(asking, beside).state == "passed"


def test_a_further_attempt_asks_nothing_that_the_person_made_known_or_met_elsewhere():
    asking = make_test(items=4, attempts=2)
    dataset, person = asking.dataset, make_person(asking)
    (one, *_rest) = [item for item, _label in queries.fresh_for(asking, person)]
    elsewhere = make_asking(dataset, [one], name="Other")
    answer(elsewhere, Item.objects.get(pk=one), person)
    assert one not in [item for item, _label in queries.fresh_for(asking, person)]
    take(asking, person, wrong=4)
    qualifications.start_again(asking=asking, annotator=person, now=NOW)
    take(asking, person)
    assert queries.standing_in(asking, person).state == "passed"


def test_another_attempt_asks_all_items_anew_and_a_lead_grants_more():
    asking = make_test(items=4, attempts=2)
    lead, person = make_member(asking.dataset), make_person(asking)
    take(asking, person, wrong=4)
    qualifications.start_again(asking=asking, annotator=person, now=NOW)
    assert queries.standing_in(asking, person).state == "begun"
    take(asking, person, wrong=4)
    with pytest.raises(NotNowError, match="no attempt left"):
        qualifications.start_again(asking=asking, annotator=person, now=NOW)
    qualifications.grant_attempt(asking=asking, annotator=person, by=lead, now=NOW)
    qualifications.start_again(asking=asking, annotator=person, now=NOW)
    take(asking, person)
    assert queries.standing_in(asking, person).state == "passed"
    assert Annotation.objects.filter(annotator=person).count() == 12  # none is lost


def test_a_waiver_lets_somebody_in_and_can_be_taken_back():
    asking = make_test()
    lead, person = make_member(asking.dataset), make_person(asking)
    qualifications.waive(asking=asking, annotator=person, by=lead, now=NOW)
    assert queries.standing_in(asking, person).qualifies
    qualifications.take_back(asking=asking, annotator=person, by=lead, now=NOW)
    assert not queries.standing_in(asking, person).qualifies
    with pytest.raises(NotNowError, match="nothing to take back"):
        qualifications.take_back(asking=asking, annotator=person, by=lead, now=NOW)


def test_a_round_that_requires_it_hands_out_nothing_before_and_says_so():
    entry = make_test()
    dataset = entry.dataset
    items = [make_item(dataset).pk for _ in range(3)]
    asking = make_asking(dataset, items, name="Real", requires=entry)
    person = make_person(asking)
    assert claim_items(round=asking, annotator=person, count=3, now=NOW) == []
    waits = waiting_in(asking, person, now=NOW)
    assert waits.words == (
        "This round needs a qualification: first pass “Entry”: 75 % of its items right."
    )
    unasked = Item.objects.get(pk=items[0])
    assert answer(asking, unasked, person).outcome == "surplus"  # kept, but takes no place
    take(entry, person)
    assert len(claim_items(round=asking, annotator=person, count=3, now=NOW)) == 2


def test_the_right_answer_was_told_so_none_can_be_taken_back():
    asking = make_test()
    person = make_person(asking)
    row = claim_items(round=asking, annotator=person, count=1, now=NOW)[0]
    given = answer(asking, row.item, person, "cat").annotation
    assert not withdraw_annotation(
        round=asking, annotator=person, client_id=given.client_id, now=NOW
    )
    given.refresh_from_db()
    assert given.withdrawn_at is None


def send(client: Any, asking: Round, item: int, label: LabelClass) -> dict[str, Any]:
    given = {"client_id": str(uuid.uuid4()), "item": item, "answer": "class", "label": label.pk}
    reply = client.post(
        reverse("labeling:annotate_answers", args=[asking.pk]),
        json.dumps({"answers": [given]}),
        content_type="application/json",
    )
    return reply.json()["answers"][0]


def test_the_screen_is_told_after_each_answer_whether_it_was_right_and_why(client):
    asking = make_test(items=3, pass_mark=100)
    gold_queries.known(asking.dataset).update(why="Look at the ears")
    user = make_member(asking.dataset, Role.ANNOTATOR)
    client.force_login(user)
    person = annotator_for(dataset=asking.dataset, user=user)
    rows = claim_items(round=asking, annotator=person, count=3, now=NOW)
    classes = {row.name: row for row in asking.dataset.classes.all()}
    told = send(client, asking, rows[0].item_id, rows[0].item.label)["feedback"]
    assert "Right" in told
    assert "Look at the ears" in told
    wrong = classes["dog" if rows[1].item.label.name == "cat" else "cat"]
    told = send(client, asking, rows[1].item_id, wrong)["feedback"]
    assert f"It is {rows[1].item.label.name}" in told
    assert f"you said: {wrong.name}" in told
    told = send(client, asking, rows[2].item_id, rows[2].item.label)["feedback"]
    assert "Not passed: 2 of 3 right (66 %), 100 % are needed." in told
    mine = client.get(reverse("labeling:annotate_mine", args=[asking.pk])).text
    assert mine.count("Look at the ears") == 3
    assert "?item=" not in mine
    work = client.get(reverse("labeling:my_work")).text
    assert "There is no attempt left: ask your lead for another one." in work


def test_other_rounds_tell_no_feedback(client):
    dataset = make_dataset()
    item = make_known(dataset, cats=1, dogs=0)[0]
    asking = make_asking(dataset, [item])
    client.force_login(make_member(dataset, Role.ANNOTATOR))
    assert "feedback" not in send(client, asking, item.pk, item.label)


def test_a_lead_makes_one_sees_who_passed_waives_and_grants(client):
    dataset = make_dataset()
    make_item(dataset, "not known", label="cat")
    client.force_login(make_member(dataset, Role.LEAD))
    url = reverse("labeling:new_round", args=[dataset.slug])
    page = client.get(url, {"kind": "qualify"}).text
    assert "Pass mark in %" in page
    assert "Answers for each item" not in page
    sent = {"kind": "qualify", "name": "Entry", "count": 9, "pass_mark": 80, "attempts": 1}
    assert "make check items of them first" in client.post(url, sent).text
    make_known(dataset, cats=3, dogs=3)
    refused = client.post(url, sent)
    assert refused.status_code == 422
    assert "Only 6 check items of experts can be asked here" in refused.text
    client.post(url, {**sent, "count": 4})
    asking = Round.objects.get(name="Entry")
    person, new = make_person(asking), make_member(dataset, Role.ANNOTATOR, "newcomer")
    take(asking, person, wrong=4)
    page = client.get(reverse("labeling:round", args=[dataset.slug, asking.pk])).text
    assert "0/4" in page
    assert "not passed" in page
    decide = reverse("labeling:decide_qualifying", args=[dataset.slug, asking.pk, person.user_id])
    client.post(decide, {"act": "grant"})
    assert queries.standing_in(asking, person).may_try_again
    waive = reverse("labeling:decide_qualifying", args=[dataset.slug, asking.pk, new.pk])
    client.post(waive, {"act": "waive"})
    assert {row.state for row in queries.standings_of(asking)} == {"failed", "waived"}
    shown = client.get(reverse("labeling:crowd_person", args=[dataset.slug, person.pk])).text
    assert "Not passed: 0 of 4 right (0 %), 80 % are needed." in shown
    (row,) = client.get(reverse("labeling:crowd", args=[dataset.slug])).context["people"].rows
    assert row.qualification.state == "failed"


def test_the_last_page_says_what_came_of_it_and_what_comes_next():
    asking = make_test(items=4, attempts=3)  # of eight that are known
    person = make_person(asking)
    said = []
    for _ in range(3):
        take(asking, person, wrong=4)
        waits = waiting_in(asking, person, now=NOW)
        said.append((waits.state, waits.may_try_again, waits.words))
        if waits.may_try_again:
            qualifications.start_again(asking=asking, annotator=person, now=NOW)
    failed = "Not passed: 0 of 4 right (0 %), 75 % are needed."
    assert said == [
        ("failed", True, f"{failed} You may try again. It asks other items."),
        (
            *("failed", True),
            f"{failed} You may try again."
            " Too few other items are known: it asks the same ones again.",
        ),
        (
            *("failed", False),
            f"{failed} There is no attempt left: ask your lead for another one.",
        ),
    ]
    make_asking(asking.dataset, [make_item(asking.dataset)], name="Real", requires=asking)
    better = make_person(asking)
    take(asking, better, wrong=1)
    waits = waiting_in(asking, better, now=NOW)
    assert waits.words == (
        "Passed: 3 of 4 right (75 %), 75 % were needed. Open to you now, in My work: “Real”."
    )


def test_who_waits_for_an_item_that_is_gone_is_judged_by_the_others(client):
    asking = make_test(items=3, pass_mark=60)
    user = make_member(asking.dataset, Role.ANNOTATOR)
    person = annotator_for(dataset=asking.dataset, user=user)
    *two, last = claim_items(round=asking, annotator=person, count=3, now=NOW)
    for row in two:
        answer(asking, row.item, person, row.item.label.name)
    Item.objects.filter(pk=last.item_id).update(excluded="broken")
    release_all(annotator=person)
    client.force_login(user)
    address = reverse("labeling:annotate_claims", args=[asking.pk])
    told = client.post(address, json.dumps({"count": 5}), content_type="application/json")
    assert told.json()["waiting"]["state"] == "passed"
    assert queries.standing_in(asking, person).last.answered == 2


def test_my_work_says_what_has_to_be_passed_first(client):
    entry = make_test()
    dataset = entry.dataset
    make_asking(dataset, [make_item(dataset)], name="Real", requires=entry)
    client.force_login(make_member(dataset, Role.ANNOTATOR))
    page = client.get(reverse("labeling:my_work")).text
    assert "first pass “Entry” (75 % right)" in page


def test_a_qualification_stays_the_same_for_everybody():
    asking = make_test(items=4)
    more = make_item(asking.dataset).pk
    assert extend_round(asking=asking, items=[more], answers_wanted=1) == []
    assert asking.round_items.count() == 4


def test_a_program_is_told_the_same_after_each_answer():
    asking = make_test(items=3, pass_mark=100)
    gold_queries.known(asking.dataset).update(why="Look at the ears")
    program = make_program(asking.dataset, Role.ANNOTATOR)
    claimed = program.post(f"datasets/{asking.dataset.slug}/claims", {"round": asking.pk}).json()
    items = [row["item"] for row in claimed["items"]]
    known = {row.item_id: row.label.name for row in gold_queries.known(asking.dataset)}
    other = {"cat": "dog", "dog": "cat"}

    def send_by(item: int, label: str, **more: str) -> dict[str, Any]:
        sent = {"client_id": str(uuid.uuid4()), "round": asking.pk, "item": item}
        return program.post("annotations", sent | {"answer": "class", "label": label} | more).json()

    told = send_by(items[0], known[items[0]])["feedback"]
    assert (told["is_right"], told["why"], told["left"]) == (True, "Look at the ears", 2)
    assert told["state"] == "begun"
    told = send_by(items[1], other[known[items[1]]])["feedback"]
    assert (told["is_right"], told["known"]) == (False, known[items[1]])
    assert "feedback" not in send_by(items[1], known[items[1]])  # a second answer tells nothing
    gold_queries.known(asking.dataset).filter(item=items[2]).update(retired_at=NOW)
    told = send_by(items[2], known[items[2]])["feedback"]
    assert (told["is_right"], told["known"], told["state"]) == (None, "", "failed")
    assert told["words"].startswith("Not passed: 1 of 2 right")
