"""A round as its lead plans it: forecast, cost, order, more items and more time."""

import uuid
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from labeling.models import Annotator, Role
from labeling.queries import rounds as queries
from labeling.queries.progress import progress
from labeling.services.annotations import record_annotation
from labeling.services.rounds import make_round
from tests.factories import make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db


def make_asking(*, items: int, answered: int) -> Any:
    dataset = make_dataset("pets")
    rows = [make_item(dataset, f"i{number:02}").pk for number in range(items)]
    asking = make_round(
        dataset=dataset, name="r", kind="classify", items=rows, answers_wanted=1,
        price=Decimal("0.05"),
    )  # fmt: skip
    member = make_member(dataset, Role.ANNOTATOR)
    person = Annotator.objects.create(dataset=dataset, user=member)
    for item in rows[:answered]:
        record_annotation(
            round=asking, item=item, annotator=person, client_id=uuid.uuid4(),
            answer="class", label=dataset.classes.first(), now=timezone.now(),
        )  # fmt: skip
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
