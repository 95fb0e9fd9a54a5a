"""The report: five sentences with interval, queue and minutes; a page, a file and JSON alike."""

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from labeling import storage
from labeling.models import Content, Dataset, Item, Role
from labeling.services import crowd, jobs
from labeling.services.versions import freeze_version
from quality.models import Flag, FlagItem, FlagState
from quality.queries.report.evidence import WAVE_HEIGHT, wave_path
from quality.services import decisions
from tests.factories import make_dataset, make_flag, make_item, make_member
from tests.quality.words import make_words

pytestmark = pytest.mark.django_db
OUTWARD = re.compile(r"<(script|link|iframe)|url\(|href=|src=\"(?!data:)")


def told(slug: str, *options: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command("report", slug, "--json", *options, stdout=out)
    found: dict[str, Any] = json.loads(out.getvalue().splitlines()[-1])
    return found


def report(slug: str, path: Path, *options: str) -> tuple[dict[str, Any], str]:
    found = told(slug, "--out", str(path), *options)
    assert found["bytes"] == path.stat().st_size
    return found, path.read_text()


def flag(dataset: Dataset, name: str, kind: str = "file_fault", **fields: Any) -> Flag:
    return make_flag(make_item(dataset, name), kind=kind, reason="<b>odd</b>", **fields)


def client_of(dataset: Dataset, role: str = Role.LEAD) -> Client:
    client = Client()
    client.force_login(make_member(dataset, role))
    return client


def page(client: Client, dataset: Dataset, query: str = "") -> str:
    answer = client.get(reverse("quality:report", args=[dataset.slug]) + query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_dataset_in_which_nothing_happened_has_a_report(tmp_path: Path):
    dataset = make_dataset(question="<script>alert(1)</script>")
    found, made = report(dataset.slug, tmp_path / "report.html")
    assert found["sentences"] == []
    assert "Nothing was trained" in made
    assert "<script>" not in made
    assert "Nothing was trained" in page(client_of(dataset), dataset)
    plain, written = report(dataset.slug, tmp_path / "report.json")
    assert {**json.loads(written), "file": plain["file"], "bytes": plain["bytes"]} == plain


def test_page_file_and_json_say_the_same_of_what_was_learned_and_bought(tmp_path: Path):
    dataset = make_words(items=36, test_items=8)
    call_command("train", dataset.slug)
    call_command("detect", dataset.slug)
    call_command("prove", dataset.slug, "1", "1")
    found, made = report(dataset.slug, tmp_path / "report.html")
    assert not OUTWARD.search(made)
    sentences = found["sentences"]
    assert 2 <= len(sentences) <= 5
    assert "of 36 labelled items" in sentences[0]["words"]
    assert sentences[0]["low"] <= sentences[0]["value"] <= sentences[0]["high"]
    assert sentences[-1]["number"] == "0.0"
    assert found["bought"]["n"] == 8
    assert found["version"]["splits"][1] == {
        "name": "Test",
        "items": 8,
        "labelled": 8,
        "url": f"/d/{dataset.slug}/browse/?split=test",
    }
    client = client_of(dataset)
    shown = page(client, dataset)
    for text in (made, shown):
        assert "score" not in text.lower()
        for sentence in sentences:
            assert sentence["number"] in text
        assert text.count(">money<") >= 2  # a row and a column of the matrix
    answer = client.get(reverse("quality:report_json", args=[dataset.slug])).json()
    assert {**answer, "at": 0} == {
        **{name: value for name, value in found.items() if name not in ("file", "bytes")},
        "at": 0,
    }
    _assert_every_link_opens(client, shown)


def _assert_every_link_opens(client: Client, shown: str) -> None:
    inside = shown[shown.index('<div class="report">') :]
    links = {link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"]*)"', inside)}
    assert len(links) > 10
    for link in links:
        assert client.get(link).status_code == 200, link


def test_what_was_decided_is_told_with_its_interval_and_the_time_of_the_queue(tmp_path: Path):
    dataset = make_dataset()
    reviewer = make_member(dataset, Role.OWNER)
    flags = [flag(dataset, f"{n}.png") for n in range(6)]
    flag(dataset, "other.png", kind="manual")
    for number, one in enumerate(flags[:4]):
        action = "keep" if number == 3 else "exclude"
        decisions.decide_flag(
            flag=one, reviewer=reviewer, action=action, seconds=30.0, reason="blank"
        )
    found = told(dataset.slug)
    said, other = found["sentences"]
    assert "of 2 open doubts" in said["words"]
    assert "of 4 decided so far 3 were" in said["words"]
    assert 0 <= said["low"] <= said["value"] <= said["high"] <= 2
    assert (said["waiting"], said["seconds"]) == (2, 60.0)
    assert other["seconds"] == 30.0  # at the pace of what was decided, though of another kind
    assert Flag.objects.filter(state=FlagState.DECIDED).count() == 3
    assert [(row["words"], row["n"]) for row in found["decided"]] == [("Exclude", 3), ("Keep", 1)]


def test_the_kind_with_most_faults_expected_comes_first():
    dataset = make_dataset()
    reviewer = make_member(dataset, Role.OWNER)
    for n in range(5):
        flag(dataset, f"odd-{n}.png")
    for n in range(3):
        flag(dataset, f"said-{n}.png", kind="manual")
    assert [row["kind"] for row in told(dataset.slug)["queues"]] == ["file_fault", "manual"]
    for one in Flag.objects.filter(kind="file_fault")[:3]:
        decisions.decide_flag(flag=one, reviewer=reviewer, action="keep", seconds=1.0)
    rows = told(dataset.slug)["queues"]
    assert [row["kind"] for row in rows] == ["manual", "file_fault"]
    assert rows[0]["expected"]["value"] > rows[1]["expected"]["value"]


def test_a_file_carries_its_pictures_and_leads_to_the_address_it_was_given(tmp_path: Path):
    dataset = make_dataset()
    one = flag(dataset, "a.png").items.get()
    preview = storage.write_bytes(b"small picture")
    Content.objects.filter(pk=one.content_id).update(preview=preview, preview_mime="image/webp")
    _found, made = report(dataset.slug, tmp_path / "r.html", "--address", "https://w.example/")
    assert f"data:image/webp;base64,{base64.b64encode(b'small picture').decode()}" in made
    links = re.findall(r'href="([^"]*)"', made)
    assert f"https://w.example/d/{dataset.slug}/items/{one.pk}/" in links
    assert all(link.startswith("https://w.example/d/") for link in links)
    assert f"/d/{dataset.slug}/items/{one.pk}/preview" not in made
    client = client_of(dataset)
    answer = client.get(reverse("quality:report_file", args=[dataset.slug]))
    assert "attachment" in answer["Content-Disposition"]
    assert "http://testserver/d/" in answer.content.decode()


@pytest.mark.parametrize("people", [1, 2])
def test_agreement_is_told_only_where_two_people_answered_the_same(tmp_path: Path, people: int):
    dataset = make_dataset("pets", classes=("cat", "dog"))
    lines = ["item,annotator,answer"]
    for n in range(12):
        make_item(dataset, f"{n}.png")
        lines += [f"{n}.png,p{who},{'cat' if n % 2 else 'dog'}" for who in range(people)]
    (tmp_path / "answers.csv").write_text("\n".join(lines))
    call_command("import_annotations", "pets", str(tmp_path / "answers.csv"), stdout=io.StringIO())
    jobs.carry_out(jobs.open_job(kind="measure_crowd", dataset=dataset).pk, crowd.measure_crowd)
    shown = page(client_of(dataset), dataset)
    assert "People who answered" in shown
    assert ("Agreement by class" in shown) == (people == 2)


def test_an_earlier_version_is_reported_as_it_was():
    dataset = make_dataset()
    make_item(dataset, "a.png", "cat", split="train")
    freeze_version(dataset=dataset)
    make_item(dataset, "b.png", None, split="test")
    freeze_version(dataset=dataset)
    client = client_of(dataset)
    assert "not the newest version" in page(client, dataset, "?version=1")
    assert "not the newest version" not in page(client, dataset)
    assert [
        row["name"] for row in told(dataset.slug, "--of-version", "1")["version"]["splits"]
    ] == ["Train"]
    assert (
        client.get(reverse("quality:report", args=[dataset.slug]) + "?version=7").status_code == 404
    )
    with pytest.raises(CommandError, match="no version v7"):
        told(dataset.slug, "--of-version", "7")


def test_a_report_costs_as_many_queries_with_200_doubts_as_with_20():
    dataset = make_dataset()
    client = client_of(dataset)

    def cost() -> int:
        with CaptureQueriesContext(connection) as queries:
            page(client, dataset)
        return len(queries)

    for n in range(19):
        flag(dataset, f"{n}.png")
    page(client, dataset)
    flag(dataset, "19.png")  # so that nothing counted before is kept
    few = cost()
    make_many(dataset, 180)
    assert cost() == few


def make_many(dataset: Dataset, n: int) -> None:
    content = Content.objects.first()
    items = Item.objects.bulk_create(
        Item(dataset=dataset, key=f"more-{k}", content=content) for k in range(n)
    )
    flags = Flag.objects.bulk_create(
        Flag(dataset=dataset, kind="file_fault", subject=item.key, score=0.5, reason="odd")
        for item in items
    )
    FlagItem.objects.bulk_create(FlagItem(flag=f, item=i) for f, i in zip(flags, items))


@given(peaks=st.binary(max_size=600))
def test_a_wave_stays_in_its_picture_and_has_a_stroke_for_each_stretch(peaks: bytes):
    heights = re.findall(r"M[\d.e-]+ (-?[\d.]+)V(-?[\d.]+)", wave_path(peaks))
    assert len(heights) == min(len(peaks) // 2, 96)
    for high, low in heights:
        assert -0.2 <= float(high) <= float(low) <= WAVE_HEIGHT + 0.2 or len(heights) == 0


def test_where_it_cannot_be_written_is_said(tmp_path: Path):
    dataset = make_dataset()
    with pytest.raises(CommandError, match="there is no folder"):
        report(dataset.slug, tmp_path / "nowhere" / "report.html")
