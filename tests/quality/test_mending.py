"""A proposal of splits that keep copies and sources together: shown, accepted, undone."""

import pytest
from django.urls import reverse

from labeling.models import Dataset, Item, Role
from mlcore.duplicates import Pair
from quality import copy_pairs
from quality.models import Decision, Proposal
from quality.queries.mending import mending_of
from quality.queries.splits import shared_by_splits
from quality.services import second, selection
from tests.factories import make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db


def make_torn() -> Dataset:
    """Forty items of which one source and one pair of copies stand in two splits."""
    dataset = make_dataset()
    items = []
    for number in range(40):
        split = "test" if number % 5 == 4 else "train"
        group = "ann" if number in (0, 1, 4) else ""
        label = ("cat", "dog")[number // 20]
        items.append(make_item(dataset, f"{number:02}", label, split=split, source_group=group))
    pairs = [Pair(29, 30, 0.9, "hash", ""), Pair(10, 11, 0.9, "hash", "")]
    copy_pairs.save_pairs(dataset.pk, pairs, ids=[item.pk for item in items])
    return dataset


def splits_of(dataset: Dataset) -> dict[str, str]:
    return dict(Item.objects.filter(dataset=dataset).values_list("key", "split"))


def address(dataset: Dataset, name: str = "mend") -> str:
    return reverse(f"quality:{name}", args=[dataset.slug])


def test_only_what_is_torn_would_move_and_nothing_torn_is_left():
    dataset = make_torn()
    found = mending_of(dataset)
    keys = set(Item.objects.filter(pk__in=found.moves).values_list("key", flat=True))
    assert keys <= {"00", "01", "04", "29", "30"}
    assert found.torn == (2, 0)
    assert sum(way.n for way in found.ways) == len(found.moves)
    assert sum(share.after for share in found.sizes) == 40


def test_a_proposal_moves_nothing_until_test_items_are_confirmed_and_undo_restores_all(client):
    dataset = make_torn()
    before = splits_of(dataset)
    client.force_login(make_member(dataset, Role.LEAD))
    assert "nothing has moved yet" in client.get(address(dataset)).text
    sent = {"digest": mending_of(dataset).digest}
    assert client.post(address(dataset), sent).status_code == 422
    assert splits_of(dataset) == before
    client.post(address(dataset), sent | {"test_confirmed": "on"})
    decision = Decision.objects.get()
    assert decision.touches_test
    assert len(decision.after) == len(set(before.items()) - set(splits_of(dataset).items()))
    shared = shared_by_splits(dataset)
    assert not shared.torn
    assert not shared.paired.leaked(shared.sources, split="test", learned=["train"])
    assert "Nothing has to move" in client.get(address(dataset)).text
    client.post(address(dataset, "mend_undo"))
    assert splits_of(dataset) == before
    assert Decision.objects.count() == 2
    assert "no accepted proposal" in client.post(address(dataset, "mend_undo"), follow=True).text


def test_a_proposal_that_is_out_of_date_is_shown_anew_and_not_carried_out(client):
    dataset = make_torn()
    client.force_login(make_member(dataset, Role.LEAD))
    sent = {"digest": mending_of(dataset).digest, "test_confirmed": "on"}
    Item.objects.filter(dataset=dataset, key="30").update(split="test")
    before = splits_of(dataset)
    answer = client.post(address(dataset), sent)
    assert answer.status_code == 422
    assert "changed since this was proposed" in answer.text
    assert splits_of(dataset) == before


def test_where_one_source_holds_everything_it_is_said_that_no_division_exists(client):
    dataset = make_dataset()
    for number in range(6):
        split = ("train", "test")[number % 2]
        make_item(dataset, f"{number}", "cat", split=split, source_group="ann")
    client.force_login(make_member(dataset, Role.LEAD))
    assert "no division keeps them apart" in client.get(address(dataset)).text


def test_an_undo_of_browse_says_that_items_moved_to_other_splits():
    from quality.queries.chips import done_words

    dataset = make_torn()
    items = list(Item.objects.filter(dataset=dataset).order_by("key")[:2])
    chosen = selection.Selection(dataset, [item.pk for item in items], by=None, test_confirmed=True)
    wanted = {items[0].pk: "validation", items[1].pk: "test"}
    decision = selection.mend(chosen, splits=wanted)
    assert done_words(decision) == "2 items moved to other splits."


def test_under_a_second_reviewer_other_splits_wait_and_come_as_one_decision_that_undo_finds(client):
    dataset = make_torn()
    Dataset.objects.update(has_second_reviewer=True)
    before = splits_of(dataset)
    client.force_login(make_member(dataset, Role.LEAD, "ann"))
    sent = {"digest": mending_of(dataset).digest, "test_confirmed": "on"}
    assert "waits for a second reviewer" in client.post(address(dataset), sent, follow=True).text
    assert splits_of(dataset) == before
    second.agree(proposal=Proposal.objects.get(), by=make_member(dataset, Role.REVIEWER, "bob"))
    assert mending_of(dataset).torn == (0, 0)
    told = client.post(address(dataset, "mend_undo"), follow=True).text
    assert "Taking it back waits for a second reviewer" in told
    assert mending_of(dataset).torn == (0, 0)
