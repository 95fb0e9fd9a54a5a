"""A round of everything that Browse shows."""

from typing import Any

import pytest
from django.urls import reverse

from labeling.models import Role, Round
from tests.factories import make_dataset, make_flag, make_item, make_member

pytestmark = pytest.mark.django_db
SENT = {"name": "again", "kind": "classify", "answers_wanted": 2}


def test_a_round_asks_about_what_the_filter_shows_and_nothing_else(client: Any):
    dataset = make_dataset("pets")
    for key, label in (("b", "cat"), ("a", "cat"), ("c", "dog")):
        make_item(dataset, key, label=label)
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("quality:ask", args=["pets"]) + "?class=cat"
    assert "About 2 items" in client.get(address).text
    client.post(address, {**SENT, "order": "listed"})
    keys = Round.objects.get().round_items.order_by("position").values_list("item__key", flat=True)
    assert list(keys) == ["a", "b"]


def test_worst_doubts_are_asked_about_first(client: Any):
    dataset = make_dataset("pets")
    items = [make_item(dataset, key, label="cat") for key in "abc"]
    for item, score in zip(items[1:], (0.3, 0.9), strict=True):
        make_flag(item, score=score, reason="looks like a dog")
    client.force_login(make_member(dataset, Role.LEAD))
    client.post(reverse("quality:ask", args=["pets"]), {**SENT, "order": "worst"})
    keys = Round.objects.get().round_items.order_by("position").values_list("item__key", flat=True)
    assert list(keys) == ["c", "b", "a"]


def test_nothing_shown_is_refused_in_words(client: Any):
    dataset = make_dataset("pets")
    make_item(dataset, "a")
    client.force_login(make_member(dataset, Role.LEAD))
    address = reverse("quality:ask", args=["pets"]) + "?class=dog"
    refused = client.post(address, SENT)
    assert refused.status_code == 422
    assert "None of these items can be asked about." in refused.text
