"""Files that an earlier version measured are measured again, and nothing else changes."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from PIL import Image

from labeling import shards, storage
from labeling.models import Content, Dataset, Item, Job, Role
from labeling.services import jobs
from labeling.services.intake import renewing
from mlcore.files import MEASURED_BY
from quality import arrays
from quality.queries.facts import measured
from quality.services import withdrawing
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
    """Make rows what a version left that knew the width alone, and drew other previews."""
    for content in contents:
        for name in {content.preview, content.display} - {"", content.pk}:
            storage.path_of(name).unlink(missing_ok=True)  # two may look alike
        earlier = storage.write_bytes(b"as once shown of " + content.pk.encode())
        row = Content.objects.filter(pk=content.pk)
        row.update(facts={"width": 40}, oddities=[], pixel_hash="", measured_by=1)
        if content.preview:
            row.update(preview=earlier)
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


def test_previews_and_small_grey_pictures_are_made_anew_and_nothing_of_the_old_is_left(
    pictures: Dataset,
) -> None:
    hashes = list(Content.objects.order_by("pk").values_list("pk", flat=True))
    small = arrays.load_features(shards.SMALL_GREY, hashes)
    shown = dict(Content.objects.values_list("pk", "preview"))
    marks = {item.pk: item.content_mark for item in pictures.items.all()}
    age(Content.objects.all())
    earlier = dict(Content.objects.values_list("pk", "preview"))
    shards.drop_vectors(set, backbone=shards.SMALL_GREY)
    shards.save_features(shards.SMALL_GREY, hashes[:3], vectors=np.zeros((3, 1024), np.uint8))
    assert all(marks[item.pk] != item.content_mark for item in pictures.items.all())
    assert measure_again(pictures) == {"measured": 4, "left": 0}
    assert dict(Content.objects.values_list("pk", "preview")) == shown
    assert all(storage.path_of(name).exists() for name in shown.values())
    assert not any(storage.path_of(name).exists() for name in earlier.values())
    assert (arrays.load_features(shards.SMALL_GREY, hashes) == small).all()


def test_an_old_preview_that_could_not_be_removed_is_when_the_job_is_done_again(
    pictures: Dataset,
) -> None:
    age(Content.objects.all())
    content = Content.objects.exclude(preview="").first()
    assert content is not None
    earlier = storage.path_of(content.preview)
    earlier.unlink()
    (earlier / "in the way").mkdir(parents=True)
    job = jobs.open_job(kind=renewing.KIND, dataset=pictures)
    with pytest.raises(OSError, match="not empty"):
        jobs.carry_out(job.pk, renewing.measure_again)
    assert renewing.measured_before(pictures).count() == 4
    (earlier / "in the way").rmdir()
    assert measure_again(pictures) == {"measured": 4, "left": 0}
    assert not earlier.exists()


def test_a_tombstone_has_nothing_to_measure(pictures: Dataset) -> None:
    first = pictures.items.order_by("pk")[:1].values_list("pk", flat=True)
    withdrawing.open_withdrawal(dataset=pictures, items=list(first), typed="pets", by=None)
    assert not renewing.measured_before(pictures).exists()


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
    assert job.queue == "train"  # one at a time with what reads or drops small pictures
    shown = client.get(page).text
    assert f'hx-get="{job.get_absolute_url()}" hx-trigger="every 1s"' in shown
    assert "Measure again" not in shown
    jobs.cancel_job(job=job)
    assert "Measure again" in client.get(page).text
    again = jobs.retry_job(job=job)
    jobs.carry_out(again.pk, renewing.measure_again)
    ended = client.get(again.get_absolute_url(), headers={"HX-Request": "true"})
    assert ended["HX-Trigger"] == "job-ended"  # the page shows itself anew
    assert "Measure again" not in client.get(page).text


def test_clipping_told_before_coarse_steps_were_known_is_told_anew(tmp_path: Path) -> None:
    tone, written = 0.5 * np.sin(2 * np.pi * 220 * np.arange(8_000) / 16_000), io.BytesIO()
    soundfile.write(written, tone, 16_000, format="WAV", subtype="ULAW")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "telephone.wav").write_bytes(written.getvalue())
    call_command("import_dataset", "calls", str(tmp_path / "files"), "--media", "audio")
    as_imported = rows()
    facts = {**as_imported[0]["facts"], "flat_tops": 220}
    Content.objects.update(facts=facts, measured_by=2)
    assert measure_again(Dataset.objects.get()) == {"measured": 1, "left": 0}
    assert rows() == as_imported
