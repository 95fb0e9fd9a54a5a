"""Imports read again: a table's columns asked for and chosen, classes and media mended."""

import io
import re
import zipfile
from datetime import timedelta

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from labeling.models import Dataset, Job, LabelClass, Upload
from labeling.services import jobs
from labeling.services.intake import differences, importing, receiving
from tests.labeling.test_dataset_pages import carry_out
from tests.labeling.test_intake import png

pytestmark = pytest.mark.django_db(transaction=True)


def sent_table(lead: Client, table: str | bytes, **columns: str) -> Upload:
    """Send a table of texts and let a worker read it, if it can be read."""
    file = SimpleUploadedFile("words.csv", table.encode() if isinstance(table, str) else table)
    lead.post(reverse("labeling:import", args=["words"]), {"files": [file], **columns})
    upload = Upload.objects.latest("pk")
    assert upload.job
    jobs.carry_out(upload.job.pk, importing.import_upload)
    return upload


@pytest.fixture
def words(lead: Client, dataset: Dataset) -> Dataset:
    Dataset.objects.filter(pk=dataset.pk).update(slug="words", media="text")
    dataset.refresh_from_db()
    return dataset


TABLE = "words,meaning,kind,whom\nhello there,greet,a,ann\ngood bye,leave,b,bob\n"


def test_a_failed_import_is_read_again_without_sending_the_files_again(
    lead: Client, words: Dataset
):
    failed = sent_table(lead, TABLE)
    page = lead.get(reverse("labeling:upload", args=["words", failed.pk])).text
    assert "no column is known to hold the texts" in page
    assert 'name="column_text"' in page
    again = reverse("labeling:read_upload_again", args=["words", failed.pk])
    lead.post(again, {"column_text": "words", "column_label": "meaning"})
    read = Upload.objects.latest("pk")
    carry_out(read)
    labels = words.items.values_list("content__text", "label__name")
    assert dict(labels) == {"hello there": "greet", "good bye": "leave"}


def test_a_label_column_is_asked_for_until_labels_are_there(lead: Client, words: Dataset):
    table = "text,Art,who\n" + "".join(f"words {n},{n % 2},{n % 3}\n" for n in range(6))
    first = sent_table(lead, table)
    address = reverse("labeling:upload", args=["words", first.pk])
    page = lead.get(address).text
    assert "No label column was recognised" in page
    assert "who as <b>source</b>" in page
    assert words.items.get(content__text="words 4").source_group == "1"
    again = reverse("labeling:read_upload_again", args=["words", first.pk])
    lead.post(again, {"what": "label", "column_label": "Art"})
    later = Upload.objects.latest("pk")
    carry_out(later)
    assert "No label column was recognised" in lead.get(address).text
    lead.post(reverse("labeling:apply_upload", args=["words", later.pk]), {"what": "differences"})
    assert set(words.items.values_list("label__name", flat=True)) == {"0", "1"}
    assert "No label column was recognised" not in lead.get(address).text


def test_files_that_a_password_locks_are_not_offered_to_be_read_again(
    lead: Client, dataset: Dataset
):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("cat/1.png", png(1))
    raw = bytearray(packed.getvalue())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # general purpose bit 0 of the entry
    sent = SimpleUploadedFile("pets.zip", bytes(raw))
    lead.post(reverse("labeling:import", args=["pets"]), {"files": [sent]})
    upload = Upload.objects.latest("pk")
    carry_out(upload)
    page = lead.get(reverse("labeling:upload", args=["pets", upload.pk])).text
    assert "One file is locked with a password" in page
    assert "Read these files again" not in page


def test_a_table_of_excel_says_its_encoding_before_and_after_its_columns_are_named(
    lead: Client, words: Dataset
):
    table = "Wörter;Bedeutung\r\nGrüß dich;Gruß\r\nTschüs;Gruß\r\n".encode("windows-1252")
    upload = sent_table(lead, table.replace(b"\r\n", b";1;2\r\n"))
    address = reverse("labeling:upload", args=["words", upload.pk])
    asked = lead.get(address).text
    assert '<option value="Wörter"' in asked
    assert "words.csv is not UTF-8; it was read as Windows-1252." in asked
    again = reverse("labeling:read_upload_again", args=["words", upload.pk])
    lead.post(again, {"column_text": "Wörter", "column_label": "Bedeutung"})
    upload.refresh_from_db()
    carry_out(upload)
    assert "words.csv is not UTF-8; it was read as Windows-1252." in lead.get(address).text
    assert words.items.filter(content__text="Grüß dich", label__name="Gruß").count() == 1


def test_the_column_that_holds_most_letters_is_proposed_for_the_texts_and_one_must_be_named(
    lead: Client, words: Dataset
):
    table = "Nachricht,Art,Nummer\n" + "".join(
        f"Wo ist meine Karte {n}?,Beschwerde über Lieferung,{n}\n" for n in range(6)
    )
    asked = sent_table(lead, table)
    asked.refresh_from_db()
    assert asked.options["question"]["guess"]["text"] == "Nachricht"
    page = lead.get(reverse("labeling:upload", args=["words", asked.pk])).text
    assert '<option value="Nachricht" selected>' in page
    assert re.search(r'<select name="column_text"[^>]* required', page)
    asked.options["question"]["guess"] = {}
    asked.save()
    page = lead.get(reverse("labeling:upload", args=["words", asked.pk])).text
    assert "choose below what they hold" in page


def test_other_columns_of_a_finished_import_are_shown_as_differences_under_the_same_keys(
    lead: Client, words: Dataset
):
    first = sent_table(lead, TABLE, column_text="words", column_label="kind")
    assert words.items.count() == 2
    page = lead.get(reverse("labeling:upload", args=["words", first.pk])).text
    assert "words, meaning, kind, whom" in page
    assert 'name="column_key"' not in page
    again = reverse("labeling:read_upload_again", args=["words", first.pk])
    lead.post(again, {"column_text": "words", "column_group": "whom", "column_key": "meaning"})
    read = Upload.objects.latest("pk")
    carry_out(read)
    assert words.items.count() == 2
    assert importing.counts(read)["different"] == 2
    page = lead.get(reverse("labeling:upload", args=["words", read.pk])).text
    assert "source: <del>" in page
    assert "group: <del>" not in page
    differences.apply_differences(upload=read)
    assert set(words.items.values_list("source_group", flat=True)) == {"ann", "bob"}


def test_files_of_a_read_table_are_kept_for_a_day(lead: Client, words: Dataset):
    upload = sent_table(lead, TABLE, column_text="words")
    done = Job.objects.get().finished_at
    assert done
    assert importing.remove_old_files(now=done + timedelta(hours=23)) == 0
    assert importing.remove_old_files(now=done + timedelta(hours=25)) == 1
    assert not receiving.folder_of(upload).exists()
    page = lead.get(reverse("labeling:upload", args=["words", upload.pk])).text
    assert 'name="column_text"' not in page
    again = reverse("labeling:read_upload_again", args=["words", upload.pk])
    assert "no longer kept" in lead.post(again, follow=True).text


def sent(lead: Client, slug: str, files: dict[str, bytes]) -> Upload:
    lead.post(
        reverse("labeling:import", args=[slug]),
        {"files": [SimpleUploadedFile(name, content) for name, content in files.items()]},
    )
    upload = Upload.objects.latest("pk")
    assert upload.job
    jobs.carry_out(upload.job.pk, importing.import_upload)
    upload.refresh_from_db()
    return upload


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


ASKED = b"Nummer;Wort;Bild\n" + b"".join(
    f"x{n};{'ja' if n % 2 else 'nein'};bild {n}\n".encode() for n in range(1, 5)
)
PICTURES = {f"clips/bild {n}.png": png(n) for n in range(1, 5)}


def test_the_page_asks_for_the_columns_before_anything_is_imported(lead: Client, dataset: Dataset):
    LabelClass.objects.filter(dataset=dataset).delete()
    unclear = ASKED.replace(b"bild ", b"pic-")
    upload = sent(lead, "pets", {"a.zip": zipped(PICTURES | {"daten.csv": unclear})})
    address = reverse("labeling:upload", args=["pets", upload.pk])
    page = lead.get(address).text
    assert "Which columns are these?" in page
    assert '<option value="Wort" selected>' in page
    assert "<td>pic-4</td>" in page
    assert not dataset.items.exists()
    assert "waits for its columns" in lead.get(reverse("labeling:import", args=["pets"])).text
    again = reverse("labeling:read_upload_again", args=["pets", upload.pk])
    lead.post(again, {"without_table": "on"})
    carry_out(Upload.objects.get())
    page = lead.get(address).text
    assert dataset.items.count() == 4
    assert "daten.csv was not used" in page
    assert "it was not taken as a class" in page


def test_an_unused_table_is_read_again_for_the_items_that_are_there(lead: Client, dataset: Dataset):
    LabelClass.objects.filter(dataset=dataset).delete()
    table = b"Nummer;Wort\n" + b"".join(f"bild {n};w{n % 2}\n".encode() for n in (1, 2, 3, 4))
    upload = sent(lead, "pets", {"a.zip": zipped(PICTURES | {"daten.csv": table})})
    assert upload.options["result"]["by_content"] == "Nummer"
    Upload.objects.filter(pk=upload.pk).update(  # as an import without the table leaves it
        options={
            **upload.options,
            "result": {
                **upload.options["result"],
                "manifest": "",
                "unused": [{"table": "daten.csv", "columns": ["Nummer", "Wort"], "rows": []}],
            },
        }
    )
    keys = set(dataset.items.values_list("key", flat=True))
    again = reverse("labeling:read_upload_again", args=["pets", upload.pk])
    lead.post(again, {"column_key": "Nummer", "column_label": "Wort"})
    read = Upload.objects.latest("pk")
    carry_out(read)
    assert set(dataset.items.values_list("key", flat=True)) == keys
    assert importing.counts(read)["different"] == 4


def test_labels_of_class_folders_are_not_said_to_come_from_the_table(
    lead: Client, dataset: Dataset
):
    table = b"file,camera\n" + b"".join(f"cat/{n}.png,c{n}\n".encode() for n in range(2))
    files = {f"cat/{n}.png": image for n, image in enumerate(PICTURES.values())}
    upload = sent(lead, "pets", {"a.zip": zipped(files | {"metadata.csv": table})})
    page = lead.get(reverse("labeling:upload", args=["pets", upload.pk])).text
    assert "Labels and columns come from" not in page
    assert "None of them tells labels: class folders do" in page


def test_a_label_column_is_chosen_with_one_click(lead: Client, words: Dataset):
    table = "message,topic,customer\n" + "".join(
        f"hello {n},t{n % 2},c{n // 2}\n" for n in range(8)
    )
    first = sent_table(lead, table)
    page = lead.get(reverse("labeling:upload", args=["words", first.pk])).text
    assert "No label column was recognised" in page
    assert 'name="column_label" value="topic"' in page
    again = reverse("labeling:read_upload_again", args=["words", first.pk])
    lead.post(again, {"what": "label", "column_label": "topic"})
    read = Upload.objects.latest("pk")
    carry_out(read)
    assert importing.counts(read)["different"] == 8
    differences.apply_differences(upload=read)
    assert set(words.items.values_list("label__name", flat=True)) == {"t0", "t1"}


def test_files_of_another_kind_are_one_line_and_the_dataset_can_become_theirs(
    lead: Client, dataset: Dataset
):
    Dataset.objects.filter(pk=dataset.pk).update(media="audio")
    upload = sent(lead, "pets", {"a.zip": zipped({f"a/{n}.png": png(n) for n in range(6)})})
    response = lead.get(reverse("labeling:upload", args=["pets", upload.pk]))
    assert len(response.context["entries"]) == 1
    assert "All 6 lines" in response.text
    again = reverse("labeling:read_upload_again", args=["pets", upload.pk])
    assert 'value="media"' in response.text
    lead.post(again, {"what": "media"})
    carry_out(Upload.objects.latest("pk"))
    dataset.refresh_from_db()
    assert (dataset.media, dataset.items.count()) == ("image", 6)
    refused = lead.post(again, {"what": "media"}, follow=True).text
    assert "has items already" in refused


def test_classes_that_differ_in_case_alone_are_merged_and_taken_apart(
    lead: Client, dataset: Dataset
):
    LabelClass.objects.filter(dataset=dataset).delete()
    files = {f"{name}/{n}.png": png(n) for n, name in enumerate(("cup", "cup", "Cup ", "jar"))}
    upload = sent(lead, "pets", {"a.zip": zipped(files)})
    address = reverse("labeling:upload", args=["pets", upload.pk])
    assert "differ in case or spaces alone" in lead.get(address).text
    old, new = (LabelClass.objects.get(name=name) for name in ("Cup", "cup"))
    act = reverse("labeling:apply_upload", args=["pets", upload.pk])
    lead.post(act, {"what": "merge", "old": old.pk, "new": new.pk})
    assert (old.items.count(), new.items.count()) == (0, 3)
    page = lead.get(address).text
    assert "differ in case or spaces alone" not in page
    assert "Take this back" in page
    lead.post(act, {"what": "unmerge", "old": old.pk})
    assert (old.items.count(), new.items.count()) == (1, 2)
    was = old.key
    old.refresh_from_db()
    assert (old.retired_at, old.key) == (None, was)


def test_an_empty_zip_from_the_browser_is_refused_by_its_own_name(
    lead: Client, dataset: Dataset
) -> None:
    packed = io.BytesIO()
    zipfile.ZipFile(packed, "w").close()
    file = SimpleUploadedFile("nothing.zip", packed.getvalue())
    lead.post(reverse("labeling:import", args=["pets"]), {"files": [file]})
    job = Upload.objects.get().job
    assert job
    jobs.carry_out(job.pk, importing.import_upload)
    job.refresh_from_db()
    assert job.error == "There is nothing to import in nothing.zip."
    report = lead.get(reverse("labeling:upload", args=["pets", Upload.objects.get().pk])).text
    assert "Try again" not in report
    assert "with other columns" not in report
    assert "Add more" in report
