"""What is done to a selection of items, and how it is undone."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from labeling.models import Dataset, Item, ItemTag, Role, Round
from quality.models import Flag
from quality.services import selection
from tests import factories

pytestmark = pytest.mark.django_db


def selected(dataset: Dataset, *names: str, **more: Any) -> selection.Selection:
    ids = list(Item.objects.filter(dataset=dataset, key__in=names).values_list("pk", flat=True))
    return selection.Selection(dataset, ids, by=factories.make_member(dataset), **more)


def states(dataset: Dataset) -> list[tuple[Any, ...]]:
    fields = ("key", "label__name", "label_source", "split", "excluded")
    return list(dataset.items.order_by("key").values_list(*fields))


@pytest.mark.both_databases
def test_a_relabelled_selection_is_undone_to_what_it_was(pets: Dataset) -> None:
    earlier = states(pets)
    chosen = selected(pets, "train/cat-00.png", "new-0.png", seconds=4.0)
    decision = selection.relabel(chosen, label=pets.classes.get(name="dog"))
    assert Item.objects.get(key="new-0.png").label_source == "review"
    assert (len(decision.after), decision.flag, decision.seconds) == (2, None, 4.0)
    undone = selection.undo(decision, by=chosen.by)
    assert (undone.restored, undone.left) == (2, 0)
    assert states(pets) == earlier
    with pytest.raises(selection.NothingToChangeError):
        selection.undo(decision, by=chosen.by)


@pytest.mark.both_databases
@pytest.mark.parametrize("action", ["relabel", "exclude", "move", "tag", "flag"])
def test_an_action_and_its_undo_take_as_many_queries_for_twelve_items_as_for_two(
    pets: Dataset, action: str
) -> None:
    names = [f"train/cat-{n:02}.png" for n in range(12)]
    few = queries_of(selected(pets, *names[:2]), action)
    assert queries_of(selected(pets, *names), action) == few


def queries_of(chosen: selection.Selection, action: str) -> int:
    assert chosen.by
    dog = chosen.dataset.classes.get(name="dog")
    with CaptureQueriesContext(connection) as queries:
        decision = {
            "relabel": lambda: selection.relabel(chosen, label=dog),
            "exclude": lambda: selection.exclude(chosen, reason="blurred"),
            "move": lambda: selection.move(chosen, split="validation"),
            "tag": lambda: selection.tag(chosen, name="night"),
            "flag": lambda: selection.flag(chosen, note="look again", by=chosen.by),
        }[action]()
        selection.undo(decision, by=chosen.by)
    return len(queries)


def test_undo_leaves_what_somebody_changed_since(pets: Dataset) -> None:
    chosen = selected(pets, "train/cat-00.png", "train/cat-01.png")
    decision = selection.exclude(chosen, reason="blurred")
    Item.objects.filter(key="train/cat-00.png").update(excluded="")
    undone = selection.undo(decision, by=chosen.by)
    assert (undone.restored, undone.left) == (1, 1)


def test_test_items_change_only_when_that_was_confirmed(pets: Dataset) -> None:
    names = ("test/dog-00.png", "test/dog-01.png", "train/cat-00.png")
    cat = pets.classes.get(name="cat")
    with pytest.raises(selection.TestItemsError) as asked:
        selection.move(selected(pets, *names), split="train")
    assert asked.value.count == 2
    with pytest.raises(selection.TestItemsError):
        selection.relabel(selected(pets, *names), label=cat)
    decision = selection.relabel(selected(pets, *names, test_confirmed=True), label=cat)
    assert (len(decision.after), decision.touches_test) == (2, True)
    rest = selection.exclude(selected(pets, *names, without_test=True), reason="dark")
    assert [state["key"] for state in rest.after] == ["train/cat-00.png"]
    assert rest.touches_test is False


@pytest.mark.parametrize("action", ["tag", "flag", "ask", "move", "include"])
def test_every_action_on_a_selection_is_one_decision_and_can_be_undone(
    pets: Dataset, action: str
) -> None:
    Item.objects.filter(key="new-1.png").update(excluded="dark")
    earlier = states(pets)
    chosen = selected(pets, "new-0.png", "new-1.png")
    assert chosen.by
    decision = {
        "tag": lambda: selection.tag(chosen, name=" by  night "),
        "flag": lambda: selection.flag(chosen, note="look again", by=chosen.by),
        "ask": lambda: selection.ask(chosen, name="Which?", kind="classify", answers_wanted=1),
        "move": lambda: selection.move(chosen, split="validation"),
        "include": lambda: selection.include(chosen),
    }[action]()
    assert decision.flag is None
    done = {
        "tag": ItemTag.objects.filter(name="by night").count(),
        "flag": Flag.objects.filter(kind="manual", state="open").count(),
        "ask": Round.objects.count(),
        "move": Item.objects.filter(split="validation").count(),
        "include": Item.objects.filter(excluded="").count() - 19,
    }
    assert done.pop(action) >= 1
    assert not any(done.values())
    selection.undo(decision, by=chosen.by)
    assert states(pets) == earlier
    assert ItemTag.objects.count() == Round.objects.count() == 0
    assert not Flag.objects.filter(state="open").exists()


def sent(dataset: Dataset, action: str, *names: str, role: str = Role.LEAD, **more: str) -> Any:
    client = Client()
    client.force_login(factories.make_member(dataset, role))
    ids = list(Item.objects.filter(dataset=dataset, key__in=names).values_list("pk", flat=True))
    return client.post(
        reverse("quality:selection", args=[dataset.slug]),
        {"items": ids, "action": action, **more},
        headers={"X-Requested-With": "fetch"},
    )


def test_the_bar_asks_before_test_items_and_says_what_it_did(pets: Dataset) -> None:
    dog = pets.classes.get(name="cat").pk
    asked = sent(pets, f"relabel:{dog}", "test/dog-00.png")
    assert (asked.status_code, asked.json()["test"]) == (409, 1)
    done = sent(pets, f"relabel:{dog}", "test/dog-00.png", test_confirmed="1")
    assert done.json()["text"] == "1 item is cat now."


def test_reviewers_relabel_and_leads_move(pets: Dataset) -> None:
    dog = pets.classes.get(name="dog").pk
    assert sent(pets, f"relabel:{dog}", "new-0.png", role=Role.REVIEWER).status_code == 200
    assert sent(pets, "move:train", "new-0.png", role=Role.REVIEWER).status_code == 403
    assert sent(pets, "move:train", "new-0.png").status_code == 200
    assert sent(pets, "move:moon", "new-0.png").status_code == 422
    assert sent(pets, "tag", "new-0.png", role=Role.ANNOTATOR, tag="x").status_code == 403


def test_items_of_other_datasets_are_never_touched(pets: Dataset) -> None:
    other = factories.make_item(factories.make_dataset("others"), "elsewhere.png")
    client = Client()
    client.force_login(factories.make_member(pets))
    url = reverse("quality:selection", args=[pets.slug])
    client.post(url, {"items": [other.pk], "action": "tag", "tag": "mine"})
    assert not ItemTag.objects.exists()
