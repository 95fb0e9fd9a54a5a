"""The API of leads: rounds, check items, pauses, as the pages allow."""

import pytest

from labeling.models import Annotator, GoldItem, LabelClass, Round, RoundItem
from labeling.services.annotations import annotator_for
from tests.factories import make_dataset, make_item, make_member
from tests.labeling.test_api import Program, make_program

pytestmark = pytest.mark.django_db


def test_a_lead_makes_extends_closes_and_reopens_a_round():
    dataset = make_dataset()
    items = [make_item(dataset, f"item {n}") for n in range(4)]
    mara = make_member(dataset, "annotator", name="mara")
    lead = make_program(dataset, "lead")
    address = f"datasets/{dataset.slug}/rounds"
    wanted = {"name": "first", "which": "keys", "keys": ["item 2", "item 0"], "order": "listed"}
    made = lead.post(address, {**wanted, "answers_wanted": 2, "people": ["mara"]})
    assert made.status_code == 201
    assert (made.json()["total"], made.json()["answers_wanted"]) == (2, 2)
    asking = Round.objects.get()
    assert list(asking.people.all()) == [mara]
    one = f"{address}/{asking.pk}"
    more = {"keys": ["item 2", "item 3"], "deadline": "2027-01-31T12:00:00Z"}
    assert lead.post(f"{one}/extend", more).json()["total"] == 3
    assert lead.post(f"{one}/extend", more).json()["total"] == 3
    order = RoundItem.objects.order_by("position").values_list("item", flat=True)
    assert list(order) == [items[2].pk, items[0].pk, items[3].pk]
    assert lead.post(f"{one}/close").json()["closed_at"]
    assert lead.get(address).json()[0]["deadline"] == "2027-01-31T12:00:00Z"
    assert Program(mara).post(f"datasets/{dataset.slug}/claims").status_code in (409, 422)
    assert lead.post(f"{one}/reopen").json()["closed_at"] is None
    claimed = Program(mara).post(f"datasets/{dataset.slug}/claims", {"round": asking.pk})
    assert len(claimed.json()["items"]) == 3


@pytest.mark.parametrize(
    ("wrong", "status", "words"),
    [
        ({"which": "keys", "keys": ["nowhere"]}, 422, "No item has the key nowhere."),
        ({"people": ["nobody"]}, 422, "no member named 'nobody'"),
        ({"gold_every": 1}, 422, "2 or more"),
        ({"confident": 0.9, "answers_wanted": 2, "answers_least": 3}, 422, "at most"),
        ({"kind": "verify"}, 409, "None of these items can be asked about."),
        ({"kind": "guess"}, 422, "kind"),
    ],
)
def test_a_round_that_cannot_be_is_refused_in_words_and_not_made(wrong, status, words):
    dataset = make_dataset()
    make_item(dataset, "a")
    response = make_program(dataset, "lead").post(
        f"datasets/{dataset.slug}/rounds", {"name": "r", **wrong}
    )
    assert response.status_code == status
    assert words in response.json()["detail"]
    assert not Round.objects.exists()


def test_check_items_are_said_corrected_listed_and_retired():
    dataset = make_dataset()
    for key in ("a", "b"):
        make_item(dataset, key)
    lead, address = make_program(dataset, "lead"), f"datasets/{dataset.slug}/gold"
    known = [{"key": "a", "label": "cat", "why": "ears"}, {"key": "b", "label": "dog"}]
    assert lead.post(address, {"items": known}).json() == {"made": 2}
    assert lead.post(address, {"items": known}).json() == {"made": 0}
    assert lead.post(address, {"items": [{"key": "b", "label": "cat"}]}).json() == {"made": 1}
    told = {
        row["key"]: (row["label"], row["why"], row["answered"]) for row in lead.get(address).json()
    }
    assert told == {"a": ("cat", "ears", 0), "b": ("cat", "", 0)}
    assert lead.post(f"{address}/retire", {"keys": ["a"]}).json() == {"retired": 1}
    assert [row["key"] for row in lead.get(address).json()] == ["b"]
    before = GoldItem.objects.count()
    for wrong in ({"key": "c", "label": "cat"}, {"key": "a", "label": "cow"}):
        assert lead.post(address, {"items": [wrong]}).status_code == 422
    assert GoldItem.objects.count() == before
    LabelClass.objects.filter(name="dog").update(retired_at="2026-01-01T00:00:00Z")
    assert lead.post(address, {"items": [{"key": "a", "label": "dog"}]}).status_code == 422


def test_a_lead_pauses_somebody_with_a_reason_and_lets_them_go_on():
    dataset = make_dataset()
    mara = make_member(dataset, "annotator", name="mara")
    annotator_for(dataset=dataset, user=mara)
    lead, address = make_program(dataset, "lead"), f"datasets/{dataset.slug}/pauses"
    assert lead.post(address, {"user": "mara", "act": "pause"}).status_code == 422
    (told,) = lead.post(address, {"user": "mara", "act": "pause", "text": "call me"}).json()
    assert (told["user"], told["act"], told["reason"]) == ("mara", "pause", "call me")
    assert lead.get(address).json() == [told]
    assert lead.post(address, {"user": "mara", "act": "resume"}).json() == []
    assert lead.post(address, {"user": "otto", "act": "end"}).status_code == 422
    assert Annotator.objects.count() == 1
