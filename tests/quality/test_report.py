"""The report: a file of its own with at most five sentences, each with its interval."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from labeling.models import Role
from quality.models import Flag, FlagItem, FlagState
from quality.services import decisions
from tests.factories import make_dataset, make_item, make_member
from tests.quality.words import make_words

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def report(slug: str, path: Path) -> tuple[list[str], str]:
    out = io.StringIO()
    call_command("report", slug, "--out", str(path), "--json", stdout=out)
    found = json.loads(out.getvalue().splitlines()[-1])
    assert found["bytes"] == path.stat().st_size
    return found["sentences"], path.read_text()


def flag(dataset: Any, name: str, **fields: Any) -> Flag:
    item = make_item(dataset, name)
    made = Flag.objects.create(
        dataset=dataset, kind="file_fault", subject=name, score=0.9, reason="<b>odd</b>", **fields
    )
    FlagItem.objects.create(flag=made, item=item)
    return made


def test_a_dataset_in_which_nothing_happened_has_a_report(tmp_path: Path):
    dataset = make_dataset(question="<script>alert(1)</script>")
    said, page = report(dataset.slug, tmp_path / "report.html")
    assert said == []
    assert "Nothing was trained" in page
    assert "<script>" not in page


def test_it_fetches_nothing_and_runs_nothing(tmp_path: Path):
    dataset = make_words(items=36, test_items=8)
    call_command("train", dataset.slug)
    call_command("detect", dataset.slug)
    call_command("prove", dataset.slug, "1", "1")
    said, page = report(dataset.slug, tmp_path / "report.html")
    assert not re.search(r"<(script|link|img|iframe)|url\(|href=|src=", page)
    assert 2 <= len(said) <= 5
    assert "36 labelled items" in said[0]
    assert "+0.0" in said[-1] or "0.0 points" in said[-1]
    assert "score" not in page.lower()
    for name in ("money", "sea", "sky"):
        assert f"<th>{name}</th>" in page


def test_what_was_decided_is_told_with_its_interval_and_the_time(tmp_path: Path):
    dataset = make_dataset()
    reviewer = make_member(dataset, Role.OWNER)
    flags = [flag(dataset, f"{n}.png") for n in range(6)]
    for number, one in enumerate(flags[:4]):
        action = "keep" if number == 3 else "exclude"
        decisions.decide_flag(
            flag=one, reviewer=reviewer, action=action, seconds=30.0, reason="blank"
        )
    said, _page = report(dataset.slug, tmp_path / "report.html")
    assert len(said) == 1
    assert "2 open" in said[0]
    assert "3 were right (75.0 %, 95 % interval 30.1 % to 95.4 %)" in said[0]
    assert "its queue takes about 1 min" in said[0]
    assert Flag.objects.filter(state=FlagState.DECIDED).count() == 3


def test_where_it_cannot_be_written_is_said(tmp_path: Path):
    dataset = make_dataset()
    with pytest.raises(CommandError, match="there is no folder"):
        report(dataset.slug, tmp_path / "nowhere" / "report.html")
