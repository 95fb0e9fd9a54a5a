"""Exports: the same bytes each time, harmless cells, streamed, usable elsewhere."""

import asyncio
import csv
import io
import json
import resource
import time
import uuid
import zipfile

import pytest
from django.core.management import CommandError, call_command
from django.test import AsyncClient
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from labeling import export, storage
from labeling.models import Annotation, Content, Dataset, Item, LabelClass, Version
from labeling.services import labels
from labeling.services.annotations import annotator_for
from labeling.services.intake import tables
from labeling.services.versions import freeze_version
from quality.queries import exports
from tests.factories import make_asking, make_dataset, make_flag, make_item, make_member


def give_bytes(item: Item, content: bytes) -> None:
    row = Content(sha256=storage.write_bytes(content), type="png", mime="image/png", size=1)
    row.save()
    Item.objects.filter(pk=item.pk).update(content=row)


def make_frozen() -> tuple[Dataset, Version]:
    dataset = make_dataset()
    for n, (label, split) in enumerate([("cat", "train"), ("dog", "test"), (None, "none")]):
        item = make_item(dataset, f"train/cat/{n}.png", label, split=split, source_group=f"g{n}")
        give_bytes(item, b"picture %d" % n)
    return dataset, freeze_version(dataset=dataset)[0]


def read(dataset: Dataset, what: str, form: str = "csv", version: Version | None = None) -> bytes:
    return b"".join(exports.pieces(dataset, what, form=form, version=version))


def table(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


# ---- cells ----


@given(st.text())
def test_no_cell_begins_as_a_formula_and_nothing_else_changes(text: str):
    cell = export.cell_of(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert cell in (text, f"'{text}")
    assert tables._without_guard(cell) == text


@given(st.lists(st.tuples(st.text(), st.none() | st.integers() | st.text()), max_size=20))
def test_jsonl_keeps_every_value_as_it_was(rows):
    written = b"".join(export.as_jsonl(export.Rows(("a", "b"), rows))).decode("utf-8", "replace")
    read_again = [json.loads(line) for line in written.split("\n") if line]
    clean = [(a.encode("utf-8", "replace").decode(), b) for a, b in rows]
    assert [line["a"] for line in read_again] == [a for a, _ in clean]


@given(st.lists(st.tuples(st.text(), st.text(min_size=1)), max_size=30))
def test_members_of_a_zip_have_safe_names_that_differ_whatever_the_keys_are(pairs):
    members = [export.Member(key, "train", label, "png", lambda: b"x") for key, label in pairs]
    archive = zipfile.ZipFile(io.BytesIO(b"".join(export.as_folders(members))))
    names = archive.namelist()
    assert len({name.casefold() for name in names}) == len(pairs)
    assert all(".." not in name.split("/") and not name.startswith("/") for name in names)


# ---- versions ----


@pytest.mark.django_db
@pytest.mark.parametrize("form", exports.FORMATS)
def test_a_version_exports_the_same_bytes_again_whatever_happened_since(form):
    dataset, version = make_frozen()
    before = read(dataset, "items", form, version)
    dog = LabelClass.objects.get(dataset=dataset, name="dog")
    labels.set_labels(labels=dict.fromkeys(ids_of(dataset), dog), source="review")
    labels.exclude_items(items=ids_of(dataset)[:1], reason="blank")
    time.sleep(0.01)
    assert read(dataset, "items", form, version) == before


def ids_of(dataset: Dataset) -> list[int]:
    return list(dataset.items.values_list("pk", flat=True))


@pytest.mark.django_db
def test_items_come_with_what_the_version_says_of_them():
    dataset, version = make_frozen()
    rows = table(read(dataset, "items", "csv", version))
    assert [(row["key"], row["label"], row["split"], row["group"]) for row in rows] == [
        ("train/cat/0.png", "cat", "train", "g0"),
        ("train/cat/1.png", "dog", "test", "g1"),
        ("train/cat/2.png", "", "none", "g2"),
    ]


@pytest.mark.django_db
def test_folders_are_named_by_the_label_and_split_of_the_version_not_by_the_key():
    dataset, version = make_frozen()
    content = read(dataset, "items", "folders", version)
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    names = archive.namelist()
    assert names == ["test/dog/1.png", "train/cat/0.png", "unlabelled/2.png"]
    assert archive.read("test/dog/1.png") == b"picture 1"
    assert {entry.date_time for entry in archive.infolist()} == {export.ZIP_DATE}


@pytest.mark.django_db
def test_texts_come_along_in_tables_and_as_files():
    dataset = make_dataset(media="text")
    item = make_item(dataset, "row 1", "cat", split="train")
    Content.objects.filter(pk=item.content_id).update(text="=cmd|' /C calc'!A0")
    version, _ = freeze_version(dataset=dataset)
    assert table(read(dataset, "items", "csv", version))[0]["text"] == "'=cmd|' /C calc'!A0"
    archive = zipfile.ZipFile(io.BytesIO(read(dataset, "items", "folders", version)))
    assert archive.read("train/cat/row 1.txt") == b"=cmd|' /C calc'!A0"


# ---- what people and machines said ----


@pytest.mark.django_db
def test_labels_as_of_now_say_who_gave_them():
    dataset = make_dataset()
    item, lead = make_item(dataset, "a"), make_member(dataset, name="mara")
    cat = LabelClass.objects.get(dataset=dataset, name="cat")
    labels.set_labels(labels={item.pk: cat}, source="review", by=lead, reason="seen")
    (row,) = table(read(dataset, "labels"))
    assert (row["key"], row["label"], row["source"], row["by"], row["reason"]) == (
        "a", "cat", "review", "mara", "seen",
    )  # fmt: skip


def make_annotations(count: int) -> Dataset:
    dataset = make_dataset()
    item, lead = make_item(dataset, "a"), make_member(dataset, name=f"mara{count}")
    asking = make_asking(dataset, [item])
    annotator = annotator_for(dataset=dataset, user=lead)
    cat = LabelClass.objects.get(dataset=dataset, name="cat")
    given_answers = [
        Annotation(client_id=uuid.uuid4(), round=asking, item=item, annotator=annotator,
                   answer="class", label=cat, withdrawn_at="2026-01-01T00:00:00Z")
        for _ in range(count)
    ]  # fmt: skip
    Annotation.objects.bulk_create(given_answers)
    return dataset


@pytest.mark.django_db
def test_ten_thousand_annotations_leave_in_two_seconds_and_the_first_piece_early():
    dataset = make_annotations(10_000)
    began = time.process_time()
    content = exports.pieces(dataset, "annotations", form="csv")
    first = next(content)
    first_after = time.process_time() - began
    rest = b"".join(content)
    assert len(table(first + rest)) == 10_000
    assert first_after < 0.5
    assert time.process_time() - began < 2.0


@pytest.mark.django_db
def test_annotations_can_be_imported_elsewhere_by_their_columns():
    (row,) = table(read(make_annotations(1), "annotations"))
    assert (row["item"], row["annotator"], row["answer"]) == ("a", "mara1", "cat")


@pytest.mark.django_db
def test_annotations_of_every_round_come_once_round_by_round():
    dataset = make_annotations(3)
    first = Annotation.objects.earliest("pk")
    second = make_asking(dataset, [first.item_id], name="s")
    Annotation.objects.create(
        round=second, item=first.item, annotator=first.annotator, answer="unsure"
    )
    Annotation.objects.create(
        round=first.round, item=first.item, annotator=first.annotator, answer="unsure"
    )
    assert [row["round"] for row in table(read(dataset, "annotations"))] == [*"rrrr", "s"]


@pytest.mark.django_db
def test_annotations_say_what_each_counts_for_and_which_measured_who_gave_them():
    dataset = make_annotations(1)
    first = Annotation.objects.get()
    kinds = {
        "counted": {"answer": "unsure"},
        "surplus": {"answer": "unsure", "is_surplus": True},
        "skipped": {"answer": "skip", "is_parked": True},
        "gold": {"answer": "unsure", "is_gold": True},
    }
    for name, fields in kinds.items():
        annotator = annotator_for(dataset=dataset, user=make_member(dataset, name=name))
        Annotation.objects.create(round=first.round, item=first.item, annotator=annotator, **fields)
    rows = {row["annotator"]: row for row in table(read(dataset, "annotations"))}
    assert {name: row["outcome"] for name, row in rows.items()} == {
        "mara1": "withdrawn", "counted": "counted", "surplus": "surplus", "skipped": "skipped",
        "gold": "counted",
    }  # fmt: skip
    assert [name for name, row in rows.items() if row["is_gold"] == "true"] == ["gold"]
    assert [name for name, row in rows.items() if row["parked"] == "true"] == ["skipped"]


@pytest.mark.django_db
def test_a_flag_about_a_pair_names_both_items():
    dataset = make_dataset()
    one, two = make_item(dataset, "a"), make_item(dataset, "b")
    make_flag(one, two, kind="near_duplicate", score=0.5, reason="-alike")
    content = read(dataset, "flags")
    assert content.startswith(b"kind,score,state,key,other_key,subject,reason\n")
    (row,) = table(content)
    assert (row["key"], row["other_key"], row["score"], row["reason"]) == (
        "a", "b", "0.5", "'-alike",
    )  # fmt: skip


@pytest.mark.django_db
@pytest.mark.parametrize("what", exports.NAMES)
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_every_export_works_on_a_dataset_in_which_nothing_happened(what, form):
    dataset, version = make_frozen()
    assert isinstance(read(dataset, what, form, version), bytes)


# ---- by command and in the web ----


@pytest.mark.django_db
def test_the_command_freezes_items_as_they_are_and_writes_a_whole_file(tmp_path):
    dataset = make_dataset()
    make_item(dataset, "a", "cat")
    out = tmp_path / "items.csv"
    call_command("export", dataset.slug, what="items", format="csv", out=out)
    assert table(out.read_bytes())[0]["key"] == "a"
    assert dataset.versions.count() == 1
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.django_db
def test_the_command_refuses_what_cannot_be_had_in_words(tmp_path):
    dataset, _ = make_frozen()
    with pytest.raises(CommandError, match="Class folders hold items"):
        call_command("export", dataset.slug, what="flags", format="folders", out=tmp_path / "x")
    with pytest.raises(CommandError, match="has no version 9"):
        call_command("export", dataset.slug, of_version=9, out=tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
def test_an_export_that_cannot_be_written_says_why_and_leaves_nothing(tmp_path):
    dataset, _ = make_frozen()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))  # like a full disk, but for this process
    try:
        with pytest.raises(CommandError, match="cannot be written: File too large"):
            call_command("export", dataset.slug, of_version=1, out=tmp_path / "items.csv")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.django_db
@pytest.mark.parametrize("form", exports.FORMATS)
def test_a_page_and_the_command_give_the_same_bytes(client, form, tmp_path):
    dataset, _ = make_frozen()
    client.force_login(make_member(dataset, "reviewer"))
    response = client.get(reverse("quality:export", args=[dataset.slug, "items", form]))
    assert response.status_code == 200
    assert f"{dataset.slug}-v1-items" in response["Content-Disposition"]
    call_command("export", dataset.slug, format=form, of_version=1, out=tmp_path / "out")
    assert b"".join(response) == (tmp_path / "out").read_bytes()


@pytest.mark.django_db(transaction=True)
def test_under_asgi_the_first_piece_leaves_before_the_last_is_made():
    dataset = make_annotations(4_000)
    lead = make_member(dataset)
    url = reverse("quality:export", args=[dataset.slug, "annotations", "csv"])

    async def first_piece() -> tuple[bytes, int]:
        client = AsyncClient()
        await client.aforce_login(lead)
        response = await client.get(url)
        walk = aiter(response.streaming_content)
        first = await anext(walk)
        return first, len([piece async for piece in walk])

    first, rest = asyncio.run(first_piece())
    assert first.startswith(b"item,annotator,answer")
    assert rest >= 1
