"""A lead asks how two parts of a dataset differ, by a column or by two filters."""

import json
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Dataset, Job, JobState, Role
from labeling.services import jobs
from quality.models import Flag, FlagState
from quality.queries.parts import columns_of
from quality.services import withdrawing
from quality.services.parts import compare_parts
from tests.factories import make_dataset, make_member
from tests.quality.words import SPOKEN, add_text, make_words

pytestmark = pytest.mark.django_db


@pytest.fixture
def regions() -> Dataset:
    """Texts of two regions, of which one says so, from two devices, which nothing tells."""
    dataset = make_dataset("regions", media="text", classes=tuple(SPOKEN))
    names = list(SPOKEN)
    for n in range(96):
        region = ("north", "south")[n // 3 % 2]
        said = "frozen lake snow" if region == "north" else "olive grove heat"
        told = {"region": region, "device": ("one", "two")[n // 6 % 2]}
        words = SPOKEN[names[n % 3]]
        text = f"{words[n % 6]} {words[(n // 3) % 6]} {said} {n}"
        add_text(dataset, f"{n:03}", text=text, label=names[n % 3], metadata=told)
    return dataset


def ask(dataset: Dataset, client: Client, **asked: str) -> dict[str, Any]:
    """Ask on the page, and do the work that it opens."""
    answered = client.post(reverse("quality:parts", args=[dataset.slug]), asked)
    assert answered.status_code == 302
    job = Job.objects.get(kind="compare_parts", state=JobState.QUEUED)
    done = jobs.carry_out(job.pk, compare_parts)
    assert done
    assert done.state == JobState.DONE, done.error
    return done.result


def test_a_column_whose_values_differ_is_told_with_typical_items_and_asked_about(regions):
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    found = ask(regions, client, by="meta:region")
    (sure,) = (row for row in found["shifts"] if row["is_sure"])
    assert (sure["cause"], sorted(sure["parts"])) == ("domain", ["north", "south"])
    assert sure["size"] > 0.9
    flag = Flag.objects.get(kind="part_shift")
    page = client.get(reverse("quality:parts", args=[regions.slug]))
    assert flag.reason.split(":")[0] in page.text
    name, _n, query = next(
        row["sides"][0] for row in page.context["answer"]["shifts"] if row["is_sure"]
    )
    shown = client.get(reverse("quality:browse", args=[regions.slug]) + f"?{query}")
    keys = [tile.key for tile in shown.context["tiles"]]
    assert {item.metadata["region"] for item in regions.items.filter(key__in=keys)} == {name}
    queue = reverse("quality:queue", args=[regions.slug, "part_shift"]) + f"?flag={flag.pk}"
    assert queue in page.text
    assert "No: the set has to change" in client.get(queue).text


def test_a_column_that_tells_nothing_is_answered_and_not_asked_about(regions):
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    found = ask(regions, client, by="meta:device")
    assert len(found["shifts"]) == 2
    assert not any(row["is_sure"] for row in found["shifts"])
    assert not Flag.objects.exists()
    assert "no clear difference" in client.get(reverse("quality:parts", args=["regions"])).text


def test_two_filters_of_browse_are_two_parts_and_what_is_in_both_is_left_out(regions):
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    found = ask(
        regions,
        client,
        by="filters",
        a="http://here/d/regions/browse/?meta=region%3Dnorth",
        b="class=sea&class=sky&class=money",
    )
    assert found["in_both"] == 48
    assert [n for _name, n in found["parts"]] == [48]
    rest = ask(regions, client, by="filters", a="meta=region%3Dnorth")
    assert dict(rest["parts"]) == {"region=north": 48, "everything else": 48}
    assert any(row["is_sure"] for row in rest["shifts"])


def test_earlier_answers_are_listed_in_one_line_and_opened_again(regions):
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    ask(regions, client, by="meta:region")
    first = Job.objects.get()
    ask(regions, client, by="meta:device")
    address = reverse("quality:parts", args=["regions"])
    page = client.get(address)
    assert page.context["answer"]["by"] == "device"
    assert [words for _job, words in page.context["answers"]] == [
        "one, two: no clear difference",
        "north and south differ",
    ]
    again = client.get(f"{address}?answer={first.pk}")
    assert again.context["answer"]["by"] == "region"
    assert again.context["form"].initial["by"] == "meta:region"
    assert " AUC" not in again.text.replace('<span class="caption">AUC', "")
    assert 'data-head="p">.0' in again.text
    for wrong in ("0", "x", "99999999999999999999"):
        assert client.get(f"{address}?answer={wrong}").status_code == 404


def test_a_column_of_numbers_is_parted_at_its_quartiles(regions):
    for n, item in enumerate(regions.items.order_by("key")):
        is_north = item.metadata["region"] == "north"
        item.metadata["height"] = f"{(n + 0.5) if is_north else n + 1000}"
        item.metadata["floor"] = n % 5
        item.save(update_fields=["metadata"])
    assert ("quarters:height", "height, in quarters") in columns_of(regions)
    assert "quarters:floor" not in dict(columns_of(regions))
    for n in range(48):
        words = f"frozen lake snow {n} {n * 7}"
        add_text(regions, f"x{n:03}", text=words, label=None, metadata={"height": str(n * 2)})
    for missing in ("nan", "NA", "", None):
        add_text(regions, f"y{missing}", text="deep snow", label=None, metadata={"height": missing})
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    assert ("quarters:height", "height, in quarters") in columns_of(regions)
    found = ask(regions, client, by="quarters:height")
    sizes = dict(found["parts"])
    assert list(sizes.values()) == [36] * 4
    limits = [words for words in sizes if words.startswith("up to")]
    told = regions.items.exclude(key__startswith="y").values_list("metadata__height", flat=True)
    heights = sorted(told, key=float)
    assert limits == [f"up to {heights[35]}"]
    assert any(row["is_sure"] for row in found["shifts"])


def test_a_filter_is_needed_and_only_leads_ask(regions):
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    page = client.post(reverse("quality:parts", args=["regions"]), {"by": "filters", "a": ""})
    assert page.status_code == 422
    assert "Set a filter in Browse" in page.text
    client.force_login(make_member(regions, Role.REVIEWER))
    refused = client.post(reverse("quality:parts", args=["regions"]), {"by": "meta:region"})
    assert refused.status_code == 403
    assert not Job.objects.exists()


def test_columns_are_offered_that_a_dataset_has(regions):
    assert [name for name, _ in columns_of(regions)] == ["meta:device", "meta:region", "filters"]
    assert [name for name, _ in columns_of(make_words(items=12))] == ["split", "source", "filters"]


def test_too_few_items_are_said_to_be_too_few():
    dataset = make_words("few", items=12, test_items=12)
    client = Client()
    client.force_login(make_member(dataset, Role.LEAD))
    assert ask(dataset, client, by="split")["shifts"] == []
    page = client.get(reverse("quality:parts", args=["few"]))
    assert "no two parts with 30 items or more" in page.text


def test_after_consent_is_withdrawn_no_answer_holds_what_a_part_was_called(regions):
    client = Client()
    client.force_login(make_member(regions, Role.LEAD))
    ask(regions, client, by="filters", a="meta=region%3Dsouth")
    ask(regions, client, by="meta:region")
    Flag.objects.filter(state=FlagState.OPEN).update(state=FlagState.DECIDED)
    south = [item.pk for item in regions.items.all() if item.metadata["region"] == "south"]
    leaving = withdrawing.open_withdrawal(dataset=regions, items=south, typed="regions", by=None)
    done = jobs.carry_out(leaving.pk, withdrawing.withdraw)
    assert done
    assert done.state == JobState.DONE, done.error
    said = [*Job.objects.values_list("options", "result")]
    said += [*Flag.objects.values_list("reason", "evidence")]
    assert "south" not in json.dumps(said)
    assert "north" in json.dumps(said)
    page = client.get(reverse("quality:parts", args=["regions"])).text
    assert "withdrawn-" in page
    assert "south" not in page
