"""A round as its lead plans it: forecast, cost, order, more items and more time."""

import csv
import io
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.models import Annotator, GuardEvent, Role, Round
from labeling.queries import rounds as queries
from labeling.queries.progress import progress
from labeling.services.annotations import annotator_for
from labeling.services.gold import use_as_gold
from labeling.services.guidelines import use_as_example
from labeling.services.rounds import claim_items, extend_round
from tests import factories
from tests.factories import make_dataset, make_item, make_member
from tests.labeling.test_rounds import answer

pytestmark = pytest.mark.django_db


def make_asking(*, items: int, answered: int) -> Any:
    dataset = make_dataset("pets")
    rows = [make_item(dataset, f"i{number:02}") for number in range(items)]
    asking = factories.make_asking(dataset, rows, price=Decimal("0.05"))
    member = make_member(dataset, Role.ANNOTATOR)
    person = Annotator.objects.create(dataset=dataset, user=member)
    for item in rows[:answered]:
        answer(asking, item, person, now=timezone.now())
    return asking


def test_the_end_is_forecast_from_the_pace_of_the_last_hour_else_of_the_day():
    asking, now = make_asking(items=30, answered=10), timezone.now()
    seen = progress(asking, now=now)
    assert (seen.missing, seen.pace) == (20, 10)
    assert seen.done_at == now + timedelta(hours=2)
    later = now + timedelta(hours=3)
    slow = progress(asking, now=later)
    assert slow.done_at == later + timedelta(hours=48)
    assert progress(asking, now=now + timedelta(days=2)).done_at is None


def test_no_end_is_forecast_from_the_answers_of_somebody_who_is_paused(client: Any):
    asking, now = make_asking(items=30, answered=10), timezone.now()
    person = Annotator.objects.get()
    GuardEvent.objects.create(annotator=person, act="pause", kinds=["one key"], at=now)
    seen = progress(asking, now=now)
    assert (seen.answers_last_hour, seen.pace, seen.done_at) == (10, 0, None)
    client.force_login(make_member(asking.dataset, Role.LEAD))
    page = client.get(reverse("labeling:round", args=["pets", asking.pk]))
    assert "whoever answered in the last 24 hours is paused or ended" in page.text


def test_what_somebody_holds_just_now_is_still_missing_and_still_costs():
    asking = make_asking(items=12, answered=10)
    dataset = asking.dataset
    person = annotator_for(dataset=dataset, user=make_member(dataset, Role.ANNOTATOR))
    assert len(claim_items(round=asking, annotator=person, count=2, now=timezone.now())) == 2
    seen = progress(asking, now=timezone.now())
    assert (seen.missing, seen.cost_in_all) == (2, Decimal("0.60"))


def test_a_price_tells_what_the_answers_cost_and_will_cost(client: Any):
    asking = make_asking(items=30, answered=10)
    seen = progress(asking, now=timezone.now())
    assert (seen.cost, seen.cost_in_all) == (Decimal("0.50"), Decimal("1.50"))
    client.force_login(make_member(asking.dataset, Role.LEAD))
    page = client.get(reverse("labeling:round", args=["pets", asking.pk]))
    assert "10 answers at 0.05; 1.50 in all" in page.text


def test_a_round_is_extended_by_items_and_time_and_refuses_unknown_keys(client: Any):
    asking = make_asking(items=2, answered=2)
    make_item(asking.dataset, "new")
    client.force_login(make_member(asking.dataset, Role.LEAD))
    address = reverse("labeling:extend_round", args=["pets", asking.pk])
    refused = client.post(address, {"keys": "nowhere"})
    assert refused.status_code == 422
    assert "No item has the key nowhere" in refused.text
    client.post(address, {"keys": "new\ni00", "deadline": "2030-01-02T03:04"})
    asking.refresh_from_db()
    keys = asking.round_items.order_by("position").values_list("item__key", flat=True)
    assert list(keys) == ["i00", "i01", "new"]
    assert asking.deadline.year == 2030


def test_items_come_in_the_order_asked_for():
    dataset = make_dataset("pets")
    keys = [f"i{number:02}" for number in range(20)]
    ids = {key: make_item(dataset, key).pk for key in reversed(keys)}
    listed = queries.items_to_ask(dataset, which="all", order="listed")
    assert listed == [ids[key] for key in keys]
    shuffled = queries.items_to_ask(dataset, which="all", order="random")
    assert shuffled != listed
    assert sorted(shuffled) == sorted(listed)
    assert queries.items_to_ask(dataset, which="keys", keys=keys[5:0:-1]) == [
        ids[key] for key in keys[5:0:-1]
    ]


def test_check_items_among_those_asked_about_are_left_out_and_counted(client: Any):
    dataset = make_dataset("pets")
    label = dataset.classes.first()
    items = [make_item(dataset, f"i{number}") for number in range(4)]
    known = {item.pk: label.pk for item in items[:2]}
    use_as_gold(labels=known, dataset=dataset, by=None, now=timezone.now())
    client.force_login(make_member(dataset, Role.LEAD))
    keys = "i0\ni1\ni2\ni3"
    sent = {"kind": "classify", "name": "r", "which": "keys", "keys": keys, "answers_wanted": 1}
    address = reverse("labeling:new_round", args=["pets"])
    page = client.post(address, {**sent, "gold_every": 10}, follow=True)
    assert "2 items are check items, their answers known, and left out." in page.text
    assert Round.objects.get().round_items.count() == 2
    assert "check items, their" not in client.post(address, {**sent, "name": "s"}, follow=True).text


def test_examples_of_the_guideline_are_left_out_and_counted(client: Any):
    dataset = make_dataset("pets")
    items = [make_item(dataset, f"i{number}") for number in range(3)]
    use_as_example(item=items[0], label=dataset.classes.first(), is_right=True)
    client.force_login(make_member(dataset, Role.LEAD))
    sent = {"kind": "classify", "name": "r", "which": "all", "answers_wanted": 1}
    page = client.post(reverse("labeling:new_round", args=["pets"]), sent, follow=True)
    assert "1 item is an example of the guideline and left out." in page.text
    asking = Round.objects.get(name="r")
    assert asking.round_items.count() == 2
    assert extend_round(asking=asking, items=[items[0].pk], answers_wanted=1) == []
    decides = factories.make_asking(dataset, items, kind="adjudicate")
    assert decides.round_items.count() == 3, "who decides a dispute answers about examples, too"


def test_counts_of_a_round_lead_to_their_items_and_answers(client: Any):
    asking = make_asking(items=5, answered=3)
    client.force_login(make_member(asking.dataset, Role.LEAD))
    page = client.get(reverse("labeling:round", args=["pets", asking.pk])).text
    query = f"?round={asking.pk}.settled"
    assert reverse("quality:browse", args=["pets"]) + query in page
    shown = client.get(reverse("quality:browse", args=["pets"]) + query).text
    assert [key in shown for key in ("i00", "i02", "i03")] == [True, True, False]
    assert f"in round no. {asking.pk}, settled" in shown
    listed = reverse("labeling:crowd_answers", args=["pets"]) + f"?round={asking.pk}"
    assert listed in page
    assert client.get(listed).status_code == 200


def test_a_list_of_answers_says_whether_none_was_given_or_none_fits(client: Any):
    dataset = make_dataset("pets")
    client.force_login(make_member(dataset, Role.LEAD))
    listed = reverse("labeling:crowd_answers", args=["pets"])
    assert "Nobody has answered yet" in client.get(listed).text
    assert "No such answers" in client.get(f"{listed}?answer=unsure").text


def test_the_header_says_how_many_answers_items_have_where_they_differ(client: Any):
    asking = make_asking(items=2, answered=2)
    asking.round_items.filter(item__key="i00").update(wanted=4)
    client.force_login(make_member(asking.dataset, Role.LEAD))
    page = client.get(reverse("labeling:round", args=["pets", asking.pk])).text
    assert "1 to 4 answers an item" in page


def test_the_work_record_says_the_pay(client: Any):
    asking = make_asking(items=5, answered=3)
    client.force_login(make_member(asking.dataset, Role.LEAD))
    days = {"start": timezone.localdate(), "end": timezone.localdate()}
    reply = client.get(reverse("labeling:work_record", args=["pets"]), days)
    text = b"".join(reply).decode()
    row = next(csv.DictReader(io.StringIO(text)))
    assert (row["answers"], Decimal(row["price"]), Decimal(row["pay"])) == (
        "3", Decimal("0.05"), Decimal("0.15"),
    )  # fmt: skip
