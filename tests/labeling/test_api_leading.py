"""The API of leads: rounds, check items, pauses, as the pages allow."""

import pytest
from django.utils import timezone

from labeling.models import Annotator, GoldItem, Item, LabelClass, Round, RoundItem
from labeling.services import gold
from labeling.services.annotations import annotator_for
from tests.factories import make_asking, make_dataset, make_item, make_member, make_user
from tests.labeling.test_api import Program, make_program
from tests.labeling.test_rounds import answer

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
        ({"confident": 0.9, "answers_wanted": 2, "answers_least": 3}, 422, "answers_least: The"),
        ({"confident": 0.2}, 422, "confident: Ensure this value is greater"),
        ({"name": " "}, 422, "name: This field is required."),
        ({"kind": "verify", "which": "unlabelled"}, 422, "which: Select a valid choice."),
        ({"kind": "verify", "order": "learning"}, 422, "order: Select a valid choice."),
        ({"kind": "pilot", "which": "all"}, 422, "Both wordings are the same"),
        ({"kind": "pilot", "question_b": "Which?"}, 409, "A pilot needs 4 people or more"),
        ({"kind": "qualify"}, 409, "Nothing is known yet: select items"),
        ({"kind": "qualify", "count": 2}, 422, "count: Ensure this value is greater"),
        ({"kind": "qualify", "which": "all"}, 422, "which: a round of kind “qualify” has none."),
        ({"pass_mark": 80, "count": 5}, 422, "count, pass_mark: a round of kind “classify” has"),
        ({"kind": "adjudicate"}, 409, "None of these items is disputed"),
        ({"requires": 10**30}, 422, "requires"),
        ({"price": -1}, 422, "price: "),
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


def test_a_lead_makes_a_qualification_and_the_round_that_requires_it():
    dataset = make_dataset()
    items = [make_item(dataset, label=name) for name in ("cat", "dog") * 3]
    known = {item.pk: item.label_id for item in items}
    gold.use_as_gold(labels=known, dataset=dataset, by=make_member(dataset), now=timezone.now())
    make_item(dataset, "new")
    lead, address = make_program(dataset, "lead"), f"datasets/{dataset.slug}/rounds"
    entry = lead.post(address, {"name": "Entry", "kind": "qualify", "count": 4, "attempts": 2})
    assert entry.status_code == 201
    told = entry.json()
    assert (told["total"], told["pass_mark"], told["wording"]) == (4, 80, {})
    wanted = {"name": "Real", "requires": told["id"], "suggesting": "after", "price": "0.05"}
    made = lead.post(address, {**wanted, "order": "learning", "answers_wanted": 3})
    assert made.status_code == 201
    real = Round.objects.get(name="Real")
    assert (real.requires_id, real.order, real.suggesting) == (told["id"], "learning", "after")
    assert real.round_items.get().wanted == 1  # further answers are asked for where they teach
    mara = make_member(dataset, "annotator", name="mara")
    waits = Program(mara).post(f"datasets/{dataset.slug}/claims", {"round": real.pk}).json()
    assert waits["waiting"]["state"] == "unqualified"


def test_a_lead_makes_a_pilot_of_two_wordings():
    dataset = make_dataset(question="What is it?")
    make_item(dataset, "a")
    people = [make_member(dataset, "annotator").username for _ in range(4)]
    lead, address = make_program(dataset, "lead"), f"datasets/{dataset.slug}/rounds"
    wanted = {"name": "Try", "kind": "pilot", "question_b": "Which animal?", "people": people}
    first = lead.post(address, wanted).json()
    second, same = lead.get(address).json()
    assert same == first
    assert second["beside"] == first["id"]
    assert first["wording"] == {"name": "A", "question": "What is it?", "guideline": ""}
    assert second["wording"]["question"] == "Which animal?"
    assert first["answers_wanted"] == 2


def test_a_lead_has_what_people_dispute_adjudicated():
    dataset = make_dataset()
    items = [make_item(dataset).pk for _ in range(2)]
    asking = make_asking(dataset, items, name="first", answers_wanted=2)
    for name in ("cat", "dog"):
        person = annotator_for(dataset=dataset, user=make_member(dataset, "annotator"))
        answer(asking, Item.objects.get(pk=items[0]), person, name)
    lead = make_member(dataset, "lead")
    wanted = {"name": "Decide", "kind": "adjudicate"}
    made = Program(lead).post(f"datasets/{dataset.slug}/rounds", wanted)
    assert (made.status_code, made.json()["total"]) == (201, 1)
    decides = Round.objects.get(name="Decide")
    assert list(decides.round_items.values_list("item", flat=True)) == items[:1]
    assert list(decides.people.all()) == [lead]


def test_the_docs_name_every_kind_of_round(client):
    client.force_login(make_user())
    page = client.get("/api/docs").text
    assert "classify | verify | qualify | adjudicate | pilot" in page
    assert "guideline_b" in page


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
