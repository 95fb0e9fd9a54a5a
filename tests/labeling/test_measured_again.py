"""Files that an earlier version measured are measured again, and nothing else changes."""

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from PIL import Image

from labeling import storage
from labeling.models import Content, Dataset, Item, Job, Role
from labeling.services import jobs
from labeling.services.intake import renewing
from mlcore.files import MEASURED_BY
from quality.queries.facts import measured
from tests.factories import make_member

pytestmark = pytest.mark.django_db(transaction=True)
PICTURES = {"red": (200, 30, 30), "blue": (30, 30, 200), "grey": (90, 90, 90)}


@pytest.fixture
def pictures(tmp_path: Path) -> Dataset:
    (tmp_path / "files").mkdir()
    for name, colour in PICTURES.items():
        stream = io.BytesIO()
        Image.new("RGB", (40, 30), colour).save(stream, "PNG")
        (tmp_path / "files" / f"{name}.png").write_bytes(stream.getvalue())
    (tmp_path / "files" / "wrong.jpg").write_bytes(stream.getvalue() + b"behind")
    call_command("import_dataset", "pets", str(tmp_path / "files"), "--media", "image")
    return Dataset.objects.get(slug="pets")


def age(contents: Any) -> None:
    """Make rows what a version left that knew the width alone."""
    contents.update(facts={"width": 40}, oddities=[], pixel_hash="", measured_by=1)
    Item.objects.update(odd=[])


def rows() -> list[dict[str, Any]]:
    return list(Content.objects.order_by("pk").values())


def measure_again(dataset: Dataset) -> dict[str, Any]:
    job = jobs.open_job(kind=renewing.KIND, dataset=dataset)
    done = jobs.carry_out(job.pk, renewing.measure_again)
    assert done is not None, job
    assert done.state == "done", done.error
    assert done.done == done.total == done.result["measured"] + done.result["left"]
    return done.result


def test_what_an_import_measures_now_comes_out_and_only_once(pictures: Dataset) -> None:
    as_imported, odd = rows(), dict(pictures.items.values_list("key", "odd"))
    assert any(odd.values())
    assert measure_again(pictures) == {"measured": 0, "left": 0}
    age(Content.objects.all())
    assert measure_again(pictures) == {"measured": 4, "left": 0}
    assert rows() == as_imported
    assert dict(pictures.items.values_list("key", "odd")) == odd
    assert measure_again(pictures) == {"measured": 0, "left": 0}


def test_only_what_is_left_is_measured_and_pages_read_it_anew(pictures: Dataset) -> None:
    age(Content.objects.filter(pk__in=Content.objects.order_by("pk")[:1]))
    before = Dataset.objects.get(pk=pictures.pk)
    assert len(measured(before, "brightness").rest) == 1
    assert measure_again(pictures) == {"measured": 1, "left": 0}
    assert len(measured(Dataset.objects.get(pk=pictures.pk), "brightness").rest) == 0


def test_a_file_that_is_gone_keeps_what_was_known_of_it(pictures: Dataset) -> None:
    age(Content.objects.all())
    gone = Content.objects.first()
    assert gone is not None
    storage.path_of(gone.pk).unlink()
    assert measure_again(pictures) == {"measured": 3, "left": 1}
    gone.refresh_from_db()
    assert (gone.facts, gone.measured_by) == ({"width": 40}, MEASURED_BY)


@pytest.mark.parametrize(("media", "name", "content"), [("text", "a.txt", b"Where is my card?")])
def test_texts_are_measured_again_from_their_rows(
    tmp_path: Path, media: str, name: str, content: bytes
) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).write_bytes(content)
    call_command("import_dataset", "words", str(tmp_path / "files"), "--media", media)
    as_imported = rows()
    age(Content.objects.all())
    assert measure_again(Dataset.objects.get()) == {"measured": 1, "left": 0}
    assert rows() == as_imported


def test_a_lead_starts_it_on_the_page_of_checks(pictures: Dataset) -> None:
    client, page = Client(), reverse("quality:checks", args=["pets"])
    client.force_login(make_member(pictures, Role.LEAD))
    assert "Measure again" not in client.get(page).text
    age(Content.objects.all())
    assert "Measure again" in client.get(page).text
    client.post(reverse("quality:measure_again", args=["pets"]))
    job = Job.objects.get(kind=renewing.KIND)
    assert job.get_absolute_url() in client.get(page).text
    jobs.carry_out(job.pk, renewing.measure_again)
    assert "Measure again" not in client.get(page).text
