"""The pages on which datasets are made, described and filled."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from PIL import Image

from labeling.models import Dataset, Item, Job, LabelClass, Role, Upload, UploadEntry
from labeling.services import datasets, jobs
from labeling.services.intake import importing, receiving
from tests.factories import make_dataset, make_member, make_user
from tests.labeling.test_intake import PETS, packed, png

pytestmark = pytest.mark.django_db(transaction=True)


def carry_out(upload: Upload) -> None:
    assert upload.job is not None
    done = jobs.carry_out(upload.job.pk, importing.import_upload)
    assert done is not None
    assert done.state == "done", done.error


def test_a_new_dataset_leads_straight_to_its_import(client: Client):
    client.force_login(make_user("ann"))
    fields = {"name": "My pets!", "media": "image", "classes": "cat\ndog\n", "answers_wanted": 1}
    response = client.post(reverse("labeling:new_dataset"), fields)
    made = Dataset.objects.get()
    assert response.url == reverse("labeling:import", args=["my-pets"])
    assert [c.key for c in made.classes.all()] == ["Digit1", "Digit2"]
    assert made.memberships.get().role == Role.OWNER
    assert client.get(response.url).status_code == 200


def test_files_without_scripts_are_stored_and_imported(lead: Client, dataset: Dataset):
    files = [SimpleUploadedFile(f"{n}.png", png(n)) for n in range(3)]
    response = lead.post(reverse("labeling:import", args=["pets"]), {"files": files})
    upload = Upload.objects.get()
    assert response.url == reverse("labeling:upload", args=["pets", upload.pk])
    carry_out(upload)
    assert dataset.items.count() == 3
    assert not receiving.folder_of(upload).exists()


def test_a_folder_sent_in_parts_keeps_its_paths(lead: Client, dataset: Dataset):
    fetch = {"headers": {"X-Requested-With": "fetch"}}
    opened = lead.post(reverse("labeling:import", args=["pets"]), {"name": "x", "size": 9}, **fetch)
    addresses = opened.json()
    for paths in (["pets/cat/1.png"], ["pets/dog/2.png", "labels.csv"]):
        files = [SimpleUploadedFile(Path(p).name, png(len(p) + n)) for n, p in enumerate(paths)]
        if paths[-1] == "labels.csv":
            files[-1] = SimpleUploadedFile("labels.csv", b"file,label\ncat/1.png,owl\n")
        sent = lead.post(addresses["files"], {"files": files, "paths": json.dumps(paths)})
        assert sent.json() == {"received": len(paths)}
    for _ in range(2):  # the answer to the first may have been lost with the web process
        assert lead.post(addresses["start"], **fetch).status_code == 200
    assert Job.objects.count() == 1
    carry_out(Upload.objects.get())
    assert lead.post(addresses["start"], **fetch).status_code == 200
    labels = dict(dataset.items.values_list("key", "label__name"))
    assert sorted(labels.values(), key=str) == [None, "owl"]


def test_a_path_that_leaves_the_upload_is_refused(lead: Client, dataset: Dataset, settings: Any):
    fetch = {"headers": {"X-Requested-With": "fetch"}}
    opened = lead.post(reverse("labeling:import", args=["pets"]), {"name": "x"}, **fetch)
    file = SimpleUploadedFile("a.png", png(1))
    data = {"files": [file], "paths": json.dumps(["../../../secret_key"])}
    assert lead.post(opened.json()["files"], data).status_code == 422
    assert not (settings.DATA_DIR / "secret_key").exists()


def test_a_full_disk_is_refused_before_the_files_are_sent(
    lead: Client, dataset: Dataset, settings: Any
):
    settings.LEAST_FREE_BYTES = 2**60
    fetch = {"headers": {"X-Requested-With": "fetch"}}
    answer = lead.post(reverse("labeling:import", args=["pets"]), {"size": 9}, **fetch)
    assert answer.status_code == 422
    assert "too full" in answer.json()["reason"]
    assert not Job.objects.exists()


def test_the_report_shows_reasons_and_downloads_them(
    lead: Client, dataset: Dataset, tmp_path: Path
):
    files = {**PETS, "pets/train/cat/=cmd.png": b"", "pets/train/cat/7.jpg": png(7)}
    path = packed(tmp_path / "pets.zip", files)
    upload, _ = importing.open_import(dataset=dataset, path=path)
    carry_out(upload)
    page = lead.get(reverse("labeling:upload", args=["pets", upload.pk]))
    assert "zero_bytes" in page.text
    only = lead.get(reverse("labeling:upload", args=["pets", upload.pk]), {"odd": "on"})
    assert [entry.code for entry, _ in only.context["entries"]] == ["wrong_extension"]
    report = lead.get(reverse("labeling:upload_report", args=["pets", upload.pk]))
    assert len(report.text.splitlines()) == 1 + UploadEntry.objects.count()


def test_new_items_of_a_tested_source_wait_for_a_leads_word(
    lead: Client, dataset: Dataset, tmp_path: Path
):
    datasets.add_classes(dataset=dataset, names=["cat"])
    tested = packed(tmp_path / "a.zip", {f"test/cat/{n}.png": png(n) for n in (1, 2)})
    first, _ = importing.open_import(dataset=dataset, path=tested)
    carry_out(first)
    copy = Image.open(io.BytesIO(png(1)))
    copy.save(tmp_path / "copy.bmp")
    files = {"cat/copy.bmp": (tmp_path / "copy.bmp").read_bytes(), "cat/3.png": png(30)}
    second, _ = importing.open_import(dataset=dataset, path=packed(tmp_path / "b.zip", files))
    carry_out(second)
    address = reverse("labeling:upload", args=["pets", second.pk])
    assert "One new item is in no split" in lead.get(address).text
    lead.post(reverse("labeling:apply_upload", args=["pets", second.pk]), {"what": "test"})
    assert Item.objects.get(key="cat/copy.bmp").split == "test"
    assert "is in no split" not in lead.get(address).text
    lead.post(reverse("labeling:apply_upload", args=["pets", second.pk]), {"what": "split"})
    assert set(Item.objects.filter(key__startswith="test/").values_list("split", flat=True)) == {
        "test"
    }
    assert Item.objects.get(key="cat/copy.bmp").split == "none"


def test_people_see_their_own_datasets_only(client: Client, dataset: Dataset):
    make_dataset("secret")
    client.force_login(make_member(dataset, Role.REVIEWER))
    page = client.get(reverse("quality:datasets"))
    assert "pets" in page.text
    assert "secret" not in page.text


def test_the_import_page_says_how_answers_of_several_people_come_in(lead: Client, dataset: Dataset):
    page = lead.get(reverse("labeling:import", args=["pets"])).text
    assert "manage.py import_annotations pets FILE" in page


def test_keys_of_classes_can_be_swapped(lead: Client, dataset: Dataset):
    lead.post(reverse("labeling:add_classes", args=["pets"]), {"classes": "cat\ndog"})
    cat, dog = dataset.classes.all()
    fields = {}
    for row, key in ((cat, "Digit2"), (dog, "Digit1")):
        start = f"class-{row.pk}-"
        fields |= {start + "name": row.name, start + "key": key, start + "role": row.role}
    lead.post(reverse("labeling:change_classes", args=["pets"]), fields)
    assert dict(dataset.classes.values_list("name", "key")) == {"cat": "Digit2", "dog": "Digit1"}


def test_adding_classes_says_which_are_new_and_which_were_there(lead: Client, dataset: Dataset):
    address = reverse("labeling:add_classes", args=["pets"])
    assert "Added: cat, dog." in lead.post(address, {"classes": "cat\ndog"}, follow=True).text
    page = lead.post(address, {"classes": "cat\ncow"}, follow=True).text
    assert "Added: cow." in page
    assert "There already, in use or retired: cat." in page


def test_enter_in_the_name_of_a_class_saves_and_retiring_says_so(lead: Client, dataset: Dataset):
    lead.post(reverse("labeling:add_classes", args=["pets"]), {"classes": "cat\ndog"})
    page = lead.get(reverse("labeling:settings", args=["pets"])).text
    buttons = re.findall(r'<button(?![^>]* form=")[^>]*>', page.partition("/settings/classes/")[2])
    assert "formaction" not in buttons[0]  # the button that Enter presses
    retire = reverse("labeling:retire_class", args=["pets", dataset.classes.get(name="cat").pk])
    assert f'form="retire-class" formaction="{retire}"' in page
    assert "“cat” is retired" in lead.post(retire, follow=True).text
    assert "“cat” is in use again" in lead.post(retire, follow=True).text


def test_a_changed_guideline_is_a_new_version(lead: Client, dataset: Dataset):
    for text in ("one", "one", "two"):
        lead.post(reverse("labeling:guideline", args=["pets"]), {"text": text})
    assert [g.number for g in dataset.guidelines.all()] == [2, 1]


def test_a_stored_file_is_whole_or_absent(dataset: Dataset):
    upload = receiving.open_upload(
        dataset=dataset, name="x", options={}, size=1, by=make_user("ann")
    )
    receiving.receive_files(upload=upload, files=[("a/b.png", io.BytesIO(b"12"))])
    receiving.receive_files(upload=upload, files=[("a/b.png", io.BytesIO(b"123"))])
    stored = [p for p in receiving.folder_of(upload).rglob("*") if p.is_file()]
    assert [p.read_bytes() for p in stored] == [b"123"]


def test_the_first_visit_is_led_to_the_demo(client: Client):
    demo = make_dataset("digits", is_demo=True)
    lead = make_member(demo, Role.LEAD)
    client.force_login(lead)
    page = client.get(reverse("quality:datasets")).text
    assert "Start with digits" in page
    assert "faults planted on purpose" in page
    make_dataset("own").memberships.create(user=lead, role=Role.OWNER)
    assert "Start with digits" not in client.get(reverse("quality:datasets")).text


def test_the_log_in_of_a_fresh_server_says_where_log_ins_come_from(client: Client, db: None):
    assert "Nobody has an account here yet" in client.get(reverse("login")).text
    make_user()
    assert "Nobody has an account here yet" not in client.get(reverse("login")).text


def test_a_report_shows_first_what_is_worth_a_look(lead: Client, dataset: Dataset):
    upload = receiving.open_upload(dataset=dataset, name="u", options={}, size=1, by=None)
    make = UploadEntry.objects.create
    make(upload=upload, name="good.png", outcome="imported")
    make(upload=upload, name="odd.png", outcome="imported", is_odd=True, code="blank")
    make(upload=upload, name="bad.png", outcome="rejected", code="truncated")
    url = reverse("labeling:upload", args=[dataset.slug, upload.pk])
    first = lead.get(url).text
    assert "odd.png" in first
    assert "bad.png" in first
    assert "good.png" not in first
    assert "good.png" in lead.get(url, {"all": "on"}).text
    UploadEntry.objects.exclude(name="good.png").delete()
    assert "good.png" in lead.get(url).text


def test_lines_of_one_reason_are_counted_in_one_row_odd_or_not(lead: Client, dataset: Dataset):
    upload = receiving.open_upload(dataset=dataset, name="u", options={}, size=1, by=None)
    for number in range(3):
        UploadEntry.objects.create(
            upload=upload,
            name=f"{number}.png",
            outcome="imported",
            code="unknown_class",
            is_odd=number == 0,
        )
    page = lead.get(reverse("labeling:upload", args=[dataset.slug, upload.pk]))
    assert [(row["code"], row["n"]) for row in page.context["totals"]] == [("unknown_class", 3)]


# ---- the same files once more, with other columns ----


def test_a_class_named_after_a_digit_has_that_digit_as_its_key(dataset: Dataset) -> None:
    LabelClass.objects.filter(dataset=dataset).delete()
    datasets.add_classes(dataset=dataset, names=["other", "0", "1", "2"])
    keys = dict(LabelClass.objects.filter(dataset=dataset).values_list("name", "key"))
    assert keys == {"other": "Digit3", "0": "Digit0", "1": "Digit1", "2": "Digit2"}


# ---- tables that nothing tells how to read ----


def test_a_sharp_s_stays_in_the_address_of_a_dataset() -> None:
    assert datasets.create_dataset(name="Größe", media="image").slug == "grosse"
