"""Target shares that a task card declares, and the gaps between them and what is there."""

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Dataset, Role
from labeling.target_shares import TargetShare, read_target_shares
from quality.queries.coverage import coverage_of
from tests.factories import make_dataset, make_item, make_member

pytestmark = pytest.mark.django_db


@pytest.fixture
def regions() -> Dataset:
    """80 items of the north, 10 of the south, 10 that say nothing; and an excluded one."""
    dataset = make_dataset("regions")
    for n in range(100):
        told = "north" if n < 80 else "south"
        make_item(dataset, f"{n}.png", metadata={"region": told} if n < 90 else {})
    make_item(dataset, "x.png", metadata={"region": "south"}, excluded="dark")
    return dataset


def declare(dataset: Dataset, text: str) -> None:
    dataset.task_card = {"shares": text}
    dataset.save()


def test_what_is_short_is_listed_with_how_many_are_missing_and_opens_browse(regions: Dataset):
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    assert "Declared shares" not in client.get(reverse("quality:checks", args=["regions"])).text
    declare(regions, "region=south: 20 %\nregion=north: 0.5\nregion=west: 9%\ndevice=a=b: 1")
    lines = {line.target.value: line for line in coverage_of(regions)}
    west, south = lines["west"], lines["south"]
    assert (lines["north"].missing, lines["north"].is_gap) == (0, False)
    assert (west.n, south.n, south.is_gap, west.is_gap) == (0, 10, True, True)
    whole = 100 + west.missing + south.missing
    assert south.n + south.missing == pytest.approx(0.2 * whole, abs=1)
    assert west.missing == pytest.approx(0.09 * whole, abs=1)
    page = client.get(reverse("quality:checks", args=["regions"]))
    assert f"?{south.query}" in page.text
    shown = client.get(reverse("quality:browse", args=["regions"]) + f"?{south.query}")
    assert "region=south ✕" in shown.text
    assert len(shown.context["tiles"]) == 10


def test_shares_of_classes_in_production_stand_in_the_same_table(regions: Dataset):
    cat, dog = (regions.classes.get(name=name) for name in ("cat", "dog"))
    regions.items.filter(key__in=[f"{n}.png" for n in range(30)]).update(
        label=cat, label_source="import"
    )
    regions.items.filter(key__in=["30.png", "31.png"]).update(label=dog, label_source="import")
    regions.success = {"metric": "accuracy", "shares": {str(cat.pk): 0.5, str(dog.pk): 0.5}}
    declare(regions, "region=south: 20 %")
    short, enough, south = coverage_of(regions)
    assert (short.target.value, short.n, short.missing, short.is_gap) == ("dog", 2, 28, True)
    assert short.gap == pytest.approx(0.5 - 2 / 32)
    assert (enough.missing, enough.is_gap, enough.gap < 0) == (0, False, True)
    assert south.target.column == "region"
    assert south.there.low < 0.1 < south.there.high
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    assert "class = dog" in client.get(reverse("quality:checks", args=["regions"])).text
    shown = client.get(reverse("quality:browse", args=["regions"]) + f"?{short.query}")
    assert len(shown.context["tiles"]) == 2


def test_a_value_that_others_will_outgrow_is_told_from_a_gap(regions: Dataset):
    declare(regions, "region=north: 60 %\nregion=south: 40 %")
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    page = client.get(reverse("quality:checks", args=["regions"])).text
    assert "within chance" not in page
    declare(regions, "region=north: 79 %\nregion=west: 10 %")
    page = client.get(reverse("quality:checks", args=["regions"])).text
    assert "enough until the others grow" in page


def test_a_share_that_chance_explains_is_no_gap(regions: Dataset):
    declare(regions, "region=north: 82 %")
    (line,) = coverage_of(regions)
    assert (line.missing, line.is_gap) == (12, False)


@pytest.mark.parametrize(
    "text", ["north: 40", "region=north", "region=north: 0", "region=north: 140 %", "a=b: x"]
)
def test_a_line_that_says_nothing_is_refused_by_its_words(regions: Dataset, text: str):
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    sent = {"name": "Regions", "answers_wanted": 1, "shares": text}
    page = client.post(reverse("labeling:settings", args=["regions"]), sent)
    assert page.status_code == 422
    assert "is not understood" in page.text
    sent["shares"] = "region=north: 40 %"
    assert client.post(reverse("labeling:settings", args=["regions"]), sent).status_code == 302
    regions.refresh_from_db()
    assert regions.task_card["shares"] == "region=north: 40 %"


def test_shares_of_one_column_add_up_to_a_whole_at_most():
    thirds = "a=x: 33.3333 %\na=y: 33.3333 %\na=z: 33.3334 %\nb=x: 1"
    assert len(read_target_shares(thirds)) == 4
    assert read_target_shares("time=10:30 : 5,5 %") == [TargetShare("time", "10:30", 0.055)]
    with pytest.raises(ValueError, match="add up to 120 %"):
        read_target_shares("a=x: 60 %\na=y: 60 %")
    with pytest.raises(ValueError, match="twice"):
        read_target_shares("a=x: 10 %\na=x: 10 %")


def test_items_of_values_that_a_whole_does_not_name_are_left_aside(regions: Dataset):
    declare(regions, "region=south: 60 %\nregion=north: 40 %")
    south, north = coverage_of(regions)
    assert (south.there.value, north.there.value) == pytest.approx((10 / 90, 80 / 90))
    named = 90 + south.missing + north.missing
    assert south.n + south.missing == pytest.approx(0.6 * named, abs=1)
