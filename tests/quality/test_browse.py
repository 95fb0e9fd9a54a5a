"""Browse: filters in the address, keyset pages, counts, and what is done to a selection."""

import json
from typing import Any

import pytest
from django.db import connection
from django.http import QueryDict
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from labeling.models import Dataset, Item, ItemTag, Role
from quality.models import Flag, FlagItem
from quality.queries import browse
from quality.queries.filters import Filter, look_up, read_filter
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


@pytest.mark.parametrize("sort", ["newest", "key", "suspicious"])
def test_pages_forward_and_back_show_every_item_once(
    pets: Dataset, sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browse, "ITEMS_A_PAGE", 3)
    for n, key in enumerate(["train/cat-03.png", "test/dog-02.png", "new-1.png", "new-0.png"]):
        doubt(Item.objects.get(key=key), score=0.5 if n < 2 else 0.9)
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
    for query in ("", "sort=key", "sort=suspicious", "random=4", "class=cat"):
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


def test_annotators_have_no_browse(pets: Dataset) -> None:
    assert opened(pets, role=Role.ANNOTATOR).status_code == 404
    assert opened(pets, role=Role.REVIEWER).status_code == 200


def test_the_grid_shows_label_doubt_and_counts(pets: Dataset) -> None:
    doubt(Item.objects.get(key="train/cat-00.png"), score=0.9, suggested="dog")
    html = opened(pets, "class=cat").content.decode()
    assert "12 items" in html
    assert "dog?" in html
    assert json.dumps("train/cat-00.png")[1:-1] in html
