"""Browse: filters in the address, keyset pages, counts."""

import json
from typing import Any

import pytest
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from labeling.models import Content, Dataset, Item, ItemTag, Role
from quality.models import Flag
from quality.queries import browse, filters
from quality.queries.facets import facets_of
from quality.queries.filters import Filter, look_up, read_filter
from quality.queries.histograms import histogram_of
from quality.services.withdrawing import open_withdrawal
from tests import factories
from tests.factories import make_flag

pytestmark = pytest.mark.django_db


def doubt(item: Item, *, score: float, kind: str = "label_error", suggested: str = "") -> Flag:
    return make_flag(item, kind=kind, score=score, given="", suggested=suggested)


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


def test_an_excluded_item_says_why_and_the_key_i_takes_it_back_in(pets: Dataset) -> None:
    assert "Excluded:" not in opened(pets).text
    Item.objects.filter(key="new-0.png").update(excluded="blurred")
    page = opened(pets, "excluded=1").text
    assert page.count("Excluded: blurred") == 1
    assert 'value="include" data-key="KeyI"' in page
    assert 'data-dialog="#do-exclude"' not in page


def test_counts_of_a_group_ignore_its_own_boxes(pets: Dataset) -> None:
    Item.objects.filter(key="new-0.png").update(excluded="blurred")
    facets = facets_of(shown(pets, "class=dog"))
    names = dict(pets.classes.values_list("name", "pk"))
    assert facets.total == 6
    assert facets.classes == {names["cat"]: 12, names["dog"]: 6, None: 1}
    assert facets.splits == {"test": 6}
    assert facets_of(shown(pets)).excluded == 1


def test_flag_and_tag_boxes_count_items_once(pets: Dataset) -> None:
    cat = Item.objects.get(key="train/cat-00.png")
    doubt(cat, score=0.9)
    doubt(cat, score=0.4, kind="file_fault")
    ItemTag.objects.create(item=cat, name="night")
    facets = facets_of(shown(pets))
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


RANGE = "&fact=brightness&min=1&max=5"


@pytest.mark.parametrize("few", [0, 100])
@pytest.mark.parametrize("narrowed", ["", RANGE, "&q=cat-0", f"{RANGE}&q=cat"])
@pytest.mark.parametrize("sort", ["newest", "key", "suspicious", "brightness", "-brightness"])
def test_pages_forward_and_back_show_every_item_once(
    pets: Dataset, sort: str, narrowed: str, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "FEW", few)
    monkeypatch.setattr(browse, "ITEMS_A_PAGE", 3)
    for n, key in enumerate(["train/cat-03.png", "test/dog-02.png", "new-1.png", "new-0.png"]):
        doubt(Item.objects.get(key=key), score=0.5 if n < 2 else 0.9)
    measure(pets)
    view = shown(pets, f"sort={sort}{narrowed}")
    forward, cursor = [], ""
    while True:
        page = browse.page_of(view, after=cursor)
        forward.append([item.key for item in page.items])
        cursor = page.next
        if not cursor:
            break
    there = list(pets.items.order_by("key"))
    if RANGE in narrowed:
        there = there[5:17]
    if "q=" in narrowed:
        there = [item for item in there if narrowed.rpartition("q=")[2] in item.key]
    assert there
    assert sorted(flat(forward)) == [item.key for item in there]
    if sort == "newest":
        assert flat(forward) == [item.key for item in sorted(there, key=lambda item: -item.pk)]
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


@pytest.mark.parametrize("few", [0, 100])
def test_items_beside_one_follow_the_order_of_the_grid(
    pets: Dataset, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "FEW", few)
    doubt(Item.objects.get(key="train/cat-05.png"), score=0.6)
    measure(pets)
    queries = ("", "sort=key", "sort=suspicious", "sort=-brightness", "random=4", "class=cat")
    for query in (*queries, *(f"sort={sort}{RANGE}" for sort in ("newest", "key", "brightness"))):
        view = shown(pets, query)
        items = browse.page_of(view).items
        found = [browse.ids_around(view, item) for item in items]
        ids = [None, *[item.pk for item in items], None]
        assert found == list(zip(ids, ids[2:])), query


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
    facets = facets_of(shown(pets, "split=test"))
    text = client.get(reverse("quality:browse_counts", args=["pets"]) + "?split=test")
    assert f"{facets.total} items</b>" in text.content.decode()


def test_the_grid_shows_label_doubt_and_counts(pets: Dataset) -> None:
    doubt(Item.objects.get(key="train/cat-00.png"), score=0.9, suggested="dog")
    html = opened(pets, "class=cat").content.decode()
    assert "12 items" in html
    assert "dog?" in html
    assert json.dumps("train/cat-00.png")[1:-1] in html


def test_the_histogram_counts_all_items_and_its_bars_narrow_to_them(pets: Dataset) -> None:
    for n, item in enumerate(pets.items.order_by("pk")):
        Content.objects.filter(pk=item.content_id).update(facts={"brightness": 10.0 * n})
    found = histogram_of(shown(pets))
    assert found
    assert sum(row["value"] for row in found.rows) == 20
    for row in found.rows:
        assert len(keys(pets, row["url"][1:])) == row["value"]


def test_what_is_not_understood_in_the_address_is_said(pets: Dataset) -> None:
    assert len(keys(pets, "fact=price&min=5")) == 20
    client = Client()
    client.force_login(factories.make_member(pets, Role.REVIEWER))
    page = client.get(reverse("quality:browse", args=["pets"]), {"fact": "price", "min": "5"})
    assert "Not understood in the address, and left out: fact=price, min=5" in page.text
    plain = "fact=brightness&min=0.50&split=train&sort=newest&run=&q= a "
    page = client.get(f"{reverse('quality:browse', args=['pets'])}?{plain}")
    assert "Not understood" not in page.text
