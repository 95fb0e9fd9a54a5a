"""Browse: filters in the address, keyset pages, counts, and what is done to a selection."""

import json
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from labeling.models import Content, Dataset, Item, ItemTag, Role, Round
from quality.models import Flag, FlagItem
from quality.queries import browse
from quality.queries.filters import Filter, look_up, read_filter
from quality.queries.histograms import histogram_of
from quality.services import selection
from quality.services.withdrawing import open_withdrawal
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def pets() -> Dataset:
    """Twelve cats in train, six dogs in test, two items without a label."""
    dataset = factories.make_dataset("pets")
    for n in range(12):
        factories.make_item(dataset, f"train/cat-{n:02}.png", "cat", split="train")
    for n in range(6):
        factories.make_item(dataset, f"test/dog-{n:02}.png", "dog", split="test")
    for n in range(2):
        factories.make_item(dataset, f"new-{n}.png", metadata={"camera": "Größe 7"})
    return dataset


def doubt(item: Item, *, score: float, kind: str = "label_error", suggested: str = "") -> Flag:
    flag = Flag.objects.create(
        dataset=item.dataset,
        kind=kind,
        subject=item.key,
        score=score,
        reason="planted",
        suggested=suggested,
    )
    FlagItem.objects.create(flag=flag, item=item)
    return flag


def shown(dataset: Dataset, query: str = "") -> Any:
    return look_up(dataset, read_filter(QueryDict(query), media=dataset.media))


def flat(pages: list[list[str]]) -> list[str]:
    return [key for page in pages for key in page]


def keys(dataset: Dataset, query: str = "") -> list[str]:
    return [item.key for item in browse.page_of(shown(dataset, query)).items]


def opened(dataset: Dataset, query: str = "", *, role: str = Role.LEAD) -> Any:
    client = Client()
    client.force_login(factories.make_member(dataset, role))
    return client.get(f"{reverse('quality:browse', args=[dataset.slug])}?{query}")


def test_a_filter_comes_back_from_the_address_it_writes() -> None:
    chosen = Filter(
        classes=("a & b", "c"),
        splits=("train",),
        flags=("any",),
        odd=True,
        text="größe",
        keys=("x/1.png", "y 2.png"),
        run=3,
        given="a & b",
        read="wrong",
        fact="brightness",
        low=10.5,
        random=0,
        sort="key",
    )
    assert read_filter(QueryDict(chosen.query()), media="image") == chosen


def test_nonsense_in_the_address_is_left_out() -> None:
    told = "split=moon&sort=price&run=x&min=abc&fact=weight&random=-3&like=a,4&read=maybe"
    assert read_filter(QueryDict(told), media="image") == Filter(like=(4,))


def test_classes_and_no_label_add_up_and_splits_narrow(pets: Dataset) -> None:
    assert len(keys(pets, "class=cat&class=dog")) == 18
    assert len(keys(pets, "class=dog&unlabelled=1")) == 8
    assert keys(pets, "class=dog&split=train") == []


def test_text_searches_keys_and_metadata_whatever_letters_it_has(pets: Dataset) -> None:
    assert len(keys(pets, "q=DOG-0")) == 6
    assert len(keys(pets, "q=Größe")) == 2


def test_pasted_keys_are_found_excluded_ones_too(pets: Dataset) -> None:
    Item.objects.filter(key="new-0.png").update(excluded="blurred")
    pasted = "keys=new-0.png%0Atest/dog-01.png%0Aunknown"
    assert sorted(keys(pets, pasted)) == ["new-0.png", "test/dog-01.png"]


def test_excluded_items_are_shown_only_when_asked_for(pets: Dataset) -> None:
    Item.objects.filter(key="new-0.png").update(excluded="blurred")
    assert "new-0.png" not in keys(pets)
    assert keys(pets, "excluded=1") == ["new-0.png"]


def test_counts_of_a_group_ignore_its_own_boxes(pets: Dataset) -> None:
    Item.objects.filter(key="new-0.png").update(excluded="blurred")
    facets = browse.facets_of(shown(pets, "class=dog"))
    names = dict(pets.classes.values_list("name", "pk"))
    assert facets.total == 6
    assert facets.classes == {names["cat"]: 12, names["dog"]: 6, None: 1}
    assert facets.splits == {"test": 6}
    assert browse.facets_of(shown(pets)).excluded == 1


def test_flag_and_tag_boxes_count_items_once(pets: Dataset) -> None:
    cat = Item.objects.get(key="train/cat-00.png")
    doubt(cat, score=0.9)
    doubt(cat, score=0.4, kind="file_fault")
    ItemTag.objects.create(item=cat, name="night")
    facets = browse.facets_of(shown(pets))
    assert (facets.flagged, facets.kinds) == (1, {"label_error": 1, "file_fault": 1})
    assert facets.tags == {"night": 1}
    assert keys(pets, "flag=file_fault") == keys(pets, "tag=night") == [cat.key]


def measure(dataset: Dataset) -> None:
    """Give all but two items a brightness; three and three share one."""
    for n, item in enumerate(dataset.items.order_by("key")[2:]):
        facts = {"brightness": 0.5 + n // 3}
        Content.objects.filter(pk=item.content_id).update(facts=facts)


def test_items_are_sorted_by_a_measurement_and_those_never_measured_come_last(pets: Dataset):
    measure(pets)
    for query, is_falling in (("sort=brightness", False), ("sort=-brightness", True)):
        items = browse.page_of(shown(pets, query)).items
        values = [item.content.facts.get("brightness") for item in items]
        assert values[-2:] == [None, None]
        assert values[:-2] == sorted(values[:-2], reverse=is_falling)
    assert shown(pets, "sort=price").filter.sort == "newest"


def test_an_item_that_lost_its_bytes_loses_its_place_in_the_order(pets: Dataset) -> None:
    measure(pets)
    pets.items.update(excluded="blurred")

    def order() -> list[int]:
        view = shown(Dataset.objects.get(pk=pets.pk), "excluded=1&sort=brightness")
        return [item.pk for item in browse.page_of(view).items]

    first, *others = order()
    lead = factories.make_member(pets)
    open_withdrawal(dataset=pets, items=[first], typed=pets.slug, by=lead)
    assert sorted(order()[-3:]) == sorted([first, *others[-2:]])  # those never measured
    assert order()[:-3] == others[:-2]


@pytest.mark.parametrize("sort", ["newest", "key", "suspicious", "brightness", "-brightness"])
def test_pages_forward_and_back_show_every_item_once(
    pets: Dataset, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "ITEMS_A_PAGE", 3)
    for n, key in enumerate(["train/cat-03.png", "test/dog-02.png", "new-1.png", "new-0.png"]):
        doubt(Item.objects.get(key=key), score=0.5 if n < 2 else 0.9)
    measure(pets)
    view = shown(pets, f"sort={sort}")
    forward, cursor = [], ""
    while True:
        page = browse.page_of(view, after=cursor)
        forward.append([item.key for item in page.items])
        cursor = page.next
        if not cursor:
            break
    assert sorted(flat(forward)) == sorted(Item.objects.values_list("key", flat=True))
    back, cursor = [], browse.END
    while cursor:
        page = browse.page_of(view, before=cursor)
        back.insert(0, [item.key for item in page.items])
        cursor = page.previous
    assert flat(back) == flat(forward)


def test_suspicious_items_come_first_worst_first(pets: Dataset) -> None:
    for key, score in [("new-0.png", 0.3), ("test/dog-02.png", 0.8)]:
        doubt(Item.objects.get(key=key), score=score)
    assert keys(pets, "sort=suspicious")[:3] == ["test/dog-02.png", "new-0.png", "new-1.png"]


def test_a_draw_is_the_same_for_everybody_who_opens_its_address(pets: Dataset) -> None:
    assert keys(pets, "random=7") == keys(pets, "random=7") != keys(pets, "random=8")


def test_items_beside_one_follow_the_order_of_the_grid(pets: Dataset) -> None:
    doubt(Item.objects.get(key="train/cat-05.png"), score=0.6)
    measure(pets)
    for query in ("", "sort=key", "sort=suspicious", "sort=-brightness", "random=4", "class=cat"):
        view = shown(pets, query)
        items = browse.page_of(view).items
        found = [browse.ids_around(view, item) for item in items]
        ids = [None, *[item.pk for item in items], None]
        assert found == list(zip(ids, ids[2:])), query


def test_the_page_costs_as_many_queries_for_twenty_items_as_for_ten(pets: Dataset) -> None:
    client = Client()
    client.force_login(factories.make_member(pets))
    address = reverse("quality:browse", args=[pets.slug])
    counts = []
    for query in ("class=cat&split=train", "class=cat&class=dog&split=train&split=test"):
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"{address}?{query}").status_code == 200
        counts.append(len(captured))
    assert counts[0] == counts[1] <= 20


def test_counts_come_after_the_items_into_the_same_boxes(pets: Dataset) -> None:
    doubt(Item.objects.get(key="train/cat-00.png"), score=0.9)
    client = Client()
    client.force_login(factories.make_member(pets, Role.REVIEWER))
    for query in ("", "split=test", "class=dog", "random=3"):
        page = client.get(f"{reverse('quality:browse', args=['pets'])}?{query}")
        later = client.get(f"{reverse('quality:browse_counts', args=['pets'])}?{query}")
        first, counted = (
            [(box.name, box.value, box.checked) for group in found.context["groups"]
             for box in group.boxes]
            for found in (page, later)
        )  # fmt: skip
        assert first == counted
        boxes = [box for group in page.context["groups"] for box in group.boxes]
        assert {box.count for box in boxes} == {None}
    facets = browse.facets_of(shown(pets, "split=test"))
    text = client.get(reverse("quality:browse_counts", args=["pets"]) + "?split=test")
    assert f"{facets.total} items</b>" in text.content.decode()


def test_counting_costs_as_many_queries_for_twenty_items_as_for_ten(pets: Dataset) -> None:
    client = Client()
    client.force_login(factories.make_member(pets, Role.REVIEWER))
    items, asked = list(pets.items.all()), []
    for some in (items[:10], items[10:]):
        for item in some:
            doubt(item, score=0.5)
        with CaptureQueriesContext(connection) as queries:
            client.get(reverse("quality:browse_counts", args=["pets"]))
        asked.append(len(queries))
    assert asked[0] == asked[1] <= 15


def test_annotators_have_no_browse(pets: Dataset) -> None:
    assert opened(pets, role=Role.ANNOTATOR).status_code == 403
    assert opened(pets, role=Role.REVIEWER).status_code == 200


def test_the_grid_shows_label_doubt_and_counts(pets: Dataset) -> None:
    doubt(Item.objects.get(key="train/cat-00.png"), score=0.9, suggested="dog")
    html = opened(pets, "class=cat").content.decode()
    assert "12 items" in html
    assert "dog?" in html
    assert json.dumps("train/cat-00.png")[1:-1] in html


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


def test_the_histogram_counts_all_items_and_its_bars_narrow_to_them(pets: Dataset) -> None:
    for n, item in enumerate(pets.items.order_by("pk")):
        Content.objects.filter(pk=item.content_id).update(facts={"brightness": 10.0 * n})
    found = histogram_of(shown(pets))
    assert found
    assert sum(row["value"] for row in found.rows) == 20
    for row in found.rows:
        assert len(keys(pets, row["url"][1:])) == row["value"]


def test_a_bad_range_of_an_unknown_fact_changes_nothing(pets: Dataset) -> None:
    assert len(keys(pets, "fact=price&min=5")) == 20
