"""Where test items wait for a second reviewer, no button of an import's report goes round it."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from labeling.models import Dataset, Item, Role, Upload
from labeling.services.versions import freeze_version
from tests.factories import make_member
from tests.labeling.test_intake import folder, png, run
from tests.labeling.test_intake_again import later

pytestmark = pytest.mark.django_db

ALONE = "nobody"  # in all that says why one lead is not enough


def push(client: Client, upload: Upload, what: str, **more: str) -> str:
    """Push a button of a report; return the page that follows."""
    address = reverse("labeling:apply_upload", args=[upload.dataset.slug, upload.pk])
    return client.post(address, {"what": what, **more}, follow=True).text


def imported(by: str) -> tuple[Dataset, Upload]:
    """Return the newest import, as a lead's, under a second reviewer."""
    upload = Upload.objects.latest("pk")
    Upload.objects.update(by=make_member(upload.dataset, Role.LEAD, by))
    Dataset.objects.update(has_second_reviewer=True)
    upload.refresh_from_db()
    return upload.dataset, upload


def test_a_class_that_is_added_labels_test_items_that_were_there_only_for_another_lead(
    client: Client, tmp_path: Path, capsys: Any
):
    root = folder(tmp_path / "a", {"train/1.png": png(1), "test/2.png": png(2)})
    run(root, capsys)
    table = tmp_path / "labels.csv"
    table.write_text("file,label\ntrain/1.png,owl\ntest/2.png,owl\n")
    run(root, capsys, "--labels", str(table))
    dataset, upload = imported("ann")
    for who in (upload.by, make_member(dataset, Role.LEAD, "bob")):
        assert who is not None
        client.force_login(who)
        push(client, upload, "class", name="owl")
        labelled = set(dataset.items.filter(label__name="owl").values_list("key", flat=True))
        assert ("test/2.png" in labelled) == (who.username == "bob")
        assert "train/1.png" in labelled


@pytest.mark.parametrize("what", ["split", "split_again"])
def test_a_proposed_split_that_a_version_holds_is_not_taken_back_alone(
    client: Client, tmp_path: Path, capsys: Any, what: str
):
    files = {f"{'cat' if n % 2 else 'dog'}/{n}.png": png(n) for n in range(40)}
    run(folder(tmp_path / "a", files), capsys)
    dataset, upload = imported("ann")
    dataset.items.filter(key="cat/1.png").update(split="test")
    before = dict(dataset.items.values_list("pk", "split"))
    freeze_version(dataset=dataset)
    assert upload.by
    client.force_login(upload.by)
    assert ALONE in push(client, upload, what)
    assert dict(dataset.items.values_list("pk", "split")) == before
    Dataset.objects.update(has_second_reviewer=False)
    push(client, upload, what)
    assert dict(dataset.items.values_list("pk", "split")) != before


def test_new_items_join_the_test_split_by_another_lead_than_who_imported(
    client: Client, tmp_path: Path, capsys: Any
):
    later(tmp_path, capsys)
    dataset, upload = imported("ann")
    waiting = Item.objects.filter(pk__in=upload.options["waiting_for_test"])
    assert upload.by
    assert waiting.exists()
    client.force_login(upload.by)
    assert ALONE in push(client, upload, "test")
    assert not waiting.filter(split="test").exists()
    client.force_login(make_member(dataset, Role.LEAD, "bob"))
    push(client, upload, "test")
    assert not waiting.exclude(split="test").exists()
