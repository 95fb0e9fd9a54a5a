"""Disputes: the lead answers before seeing the others, then decides; everything has a way back."""

from typing import Any

import pytest
from django.urls import reverse

from labeling.models import Annotator, Dataset, Role, Round, RoundItem
from labeling.queries.disputes import open_disputes
from quality.services import second
from tests.factories import make_asking, make_dataset, make_item, make_member
from tests.labeling.test_rounds import answer

pytestmark = pytest.mark.django_db


def make_dispute(*, split: str = "train", items: int = 1) -> tuple[Dataset, list[RoundItem]]:
    dataset = make_dataset("pets")
    rows = [make_item(dataset, split=split) for _each in range(items)]
    asking = make_asking(dataset, rows, answers_wanted=2)
    for name, label in zip(("anna", "boris"), dataset.classes.all(), strict=True):
        person = Annotator.objects.create(dataset=dataset, name=name)
        for row in rows:
            answer(asking, row, person, label.name)
    return dataset, list(open_disputes(dataset))


def page(client: Any) -> Any:
    return client.get(reverse("quality:disputes", args=["pets"]))


def send(client: Any, place: RoundItem, step: str, **fields: Any) -> Any:
    return client.post(reverse(f"quality:dispute_{step}", args=["pets", place.pk]), fields)


def test_everybodys_answers_show_only_after_ones_own(client: Any):
    dataset, [place] = make_dispute()
    client.force_login(make_member(dataset, Role.LEAD))
    before = page(client).text
    assert "anna" not in before
    assert "boris" not in before
    assert place.item.key not in before  # a file's name or folder may tell the class
    dog = dataset.classes.get(name="dog")
    send(client, place, "answer", answer=f"class:{dog.pk}")
    after = page(client).text
    assert "anna" in after
    assert place.item.key in after
    assert "1 × cat" in after
    assert "2 × dog" in after
    assert open_disputes(dataset).count() == 1  # an answer is no decision


def test_a_decision_ends_the_dispute_and_undo_opens_it_again(client: Any):
    dataset, [place] = make_dispute()
    client.force_login(make_member(dataset, Role.LEAD))
    dog = dataset.classes.get(name="dog")
    send(client, place, "decide", action=f"relabel:{dog.pk}")
    item = dataset.items.get()
    assert (item.label, item.label_source) == (dog, "review")
    assert not open_disputes(dataset)
    assert "No dispute is open" in page(client).text
    undone = client.post(reverse("quality:dispute_undo", args=["pets"]), follow=True)
    assert "Undone: “1 item is dog now”." in undone.text
    item.refresh_from_db()
    assert item.label is None
    assert [row.pk for row in open_disputes(dataset)] == [place.pk]


def test_what_is_left_out_or_sent_on_waits_no_longer_and_comes_back_by_undo(client: Any):
    dataset, [first, second] = make_dispute(items=2)
    client.force_login(make_member(dataset, Role.LEAD))
    send(client, first, "decide", action="exclude:broken")
    assert [row.pk for row in open_disputes(dataset)] == [second.pk]
    send(client, second, "decide", action="round")
    assert not open_disputes(dataset)
    asking = Round.objects.get(kind="adjudicate")
    assert [row.item_id for row in asking.round_items.all()] == [second.item_id]
    for _each in range(2):
        client.post(reverse("quality:dispute_undo", args=["pets"]))
    assert {row.pk for row in open_disputes(dataset)} == {first.pk, second.pk}
    assert not Round.objects.filter(kind="adjudicate").exists()


def test_undoing_one_item_sent_on_keeps_the_others_in_the_round(client: Any):
    dataset, places = make_dispute(items=2)
    client.force_login(make_member(dataset, Role.LEAD))
    for place in places:
        send(client, place, "decide", action="round")
    client.post(reverse("quality:dispute_undo", args=["pets"]))
    asking = Round.objects.get(kind="adjudicate")
    assert [row.item_id for row in asking.round_items.all()] == [places[0].item_id]


def test_a_test_item_changes_only_when_that_was_confirmed(client: Any):
    dataset, [place] = make_dispute(split="test")
    client.force_login(make_member(dataset, Role.LEAD))
    dog = dataset.classes.get(name="dog")
    send(client, place, "answer", answer=f"class:{dog.pk}")
    asked = send(client, place, "decide", action=f"relabel:{dog.pk}")
    assert asked.status_code == 409
    assert "although it touches test" in asked.text
    assert dataset.items.get().label is None
    send(client, place, "decide", action=f"relabel:{dog.pk}", test_confirmed="on")
    assert dataset.items.get().label == dog


def test_a_second_lead_is_told_that_a_colleague_decided(client: Any):
    dataset, [place] = make_dispute()
    client.force_login(make_member(dataset, Role.LEAD))
    cat, dog = dataset.classes.all()
    send(client, place, "decide", action=f"relabel:{dog.pk}")
    send(client, place, "decide", action=f"relabel:{cat.pk}")
    assert dataset.items.get().label == dog
    assert "decided meanwhile" in page(client).text


def test_a_test_item_waits_for_a_second_reviewer_and_its_dispute_is_put_off(client: Any):
    dataset, places = make_dispute(split="test", items=2)
    Dataset.objects.update(has_second_reviewer=True)
    ann, bob = make_member(dataset, Role.LEAD, "ann"), make_member(dataset, Role.LEAD, "bob")
    dog = dataset.classes.get(name="dog")
    client.force_login(ann)
    for place, action in zip(places, (f"relabel:{dog.pk}", "exclude:broken"), strict=True):
        send(client, place, "decide", action=action, test_confirmed="on")
    assert not dataset.decisions.exists()
    assert "2 wait for a second reviewer" in page(client).text
    send(client, places[0], "decide", action="exclude:broken", test_confirmed="on")
    first, other = dataset.proposals.all()  # the same place does not wait twice
    second.disagree(proposal=other, by=bob)
    made = second.agree(proposal=first, by=bob).decision
    assert (made.by, made.proposal.second, made.after[0]["label"]) == (ann, bob, "dog")
    assert [row.pk for row in open_disputes(dataset)] == [places[1].pk]
    second.settle(proposal=other, is_done=False, by=ann)
    assert "1 open" in page(client).text
    second.undo_agreed(proposal=first, by=bob)
    assert {row.pk for row in open_disputes(dataset)} == {row.pk for row in places}


def test_what_waits_about_a_dispute_is_taken_back_by_undo(client: Any):
    dataset, [place] = make_dispute(split="test")
    Dataset.objects.update(has_second_reviewer=True)
    client.force_login(make_member(dataset, Role.LEAD))
    send(client, place, "decide", action="exclude:broken", test_confirmed="on")
    assert "No dispute is open" in page(client).text
    client.post(reverse("quality:dispute_undo", args=["pets"]))
    assert "1 open" in page(client).text
