"""What an import makes of files, folders, zips and tables."""

import io
import json
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image

from labeling import storage
from labeling.models import (
    Content,
    Dataset,
    Item,
    LabelChange,
    LabelClass,
    LabelSource,
    Upload,
    UploadEntry,
)
from labeling.services import jobs, labels
from labeling.services.intake import differences, importing, splitting
from labeling.services.versions import freeze_version
from mlcore.riff import pcm16_wav
from tests.factories import make_dataset, make_user
from tests.shared import shared_path

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media_folder(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.DATA_DIR = tmp_path


def png(colour: int = 0, *, size: int = 24) -> bytes:
    picture = Image.radial_gradient("L").resize((size, size)).rotate(colour * 7 % 360)
    out = io.BytesIO()
    Image.merge("RGB", (picture, picture, Image.new("L", picture.size, colour % 256))).save(
        out, "PNG"
    )
    return out.getvalue()


def folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def run(path: Path, capsys: Any, *arguments: str, name: str = "pets") -> dict[str, Any]:
    call_command("import_dataset", name, str(path), *arguments, "--json")
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def entry(name: str) -> UploadEntry:
    return UploadEntry.objects.filter(name=name).latest("pk")


PETS = {
    "pets/train/cat/1.png": png(1),
    "pets/train/dog/2.png": png(2),
    "pets/val/cat/3.png": png(3),
    "pets/test/dog/4.png": png(4),
    "pets/unlabelled/5.png": png(5),
}


def test_folders_name_splits_and_classes_below_one_top_folder(tmp_path: Path, capsys: Any):
    result = run(packed(tmp_path / "pets.zip", PETS), capsys)
    assert result["imported"] == 5
    items = {i.key: (i.split, i.label and i.label.name) for i in Item.objects.all()}
    assert items == {
        "train/cat/1.png": ("train", "cat"),
        "train/dog/2.png": ("train", "dog"),
        "val/cat/3.png": ("validation", "cat"),
        "test/dog/4.png": ("test", "dog"),
        "unlabelled/5.png": ("none", None),
    }
    assert [(c.name, c.key) for c in LabelClass.objects.all()] == [
        ("cat", "Digit1"),
        ("dog", "Digit2"),
    ]
    assert LabelChange.objects.count() == 4


def test_a_folder_and_a_zip_of_it_give_the_same_items(tmp_path: Path, capsys: Any):
    run(packed(tmp_path / "pets.zip", PETS), capsys)
    result = run(folder(tmp_path / "root", PETS), capsys)
    assert (result["imported"], result["unchanged"]) == (0, 5)
    assert Item.objects.count() == Content.objects.count() == 5


def test_the_same_bytes_under_new_keys_are_matched_and_not_added(tmp_path: Path, capsys: Any):
    files = {"cat/1.png": png(1), "cat/2.png": png(2), "dog/3.png": png(3), "dog/copy.png": png(3)}
    assert run(folder(tmp_path / "a", files), capsys)["imported"] == 4  # copies within one import
    moved = {f"clips/{name}": content for name, content in files.items()}
    root = folder(tmp_path / "b", moved | {"clips/cat/4.png": png(4)})
    table = "file,label,speaker\n" + "".join(f"{n},cat,anna\n" for n in moved)
    (root / "labels.csv").write_text(table + "clips/cat/4.png,cat,anna\n")
    again = run(root, capsys)
    assert (again["imported"], again["elsewhere"], Item.objects.count()) == (1, 4, 5)
    met = entry("clips/dog/copy.png")
    assert (met.outcome, met.code) == ("different", "other_key")
    assert met.item is not None
    assert met.item.key == "dog/copy.png"
    assert met.item.key in met.reason
    upload = Upload.objects.latest("pk")
    assert differences.add_copies(upload=upload) == 4
    assert differences.add_copies(upload=upload) == 0
    added = Item.objects.get(key="clips/dog/copy.png")
    assert (str(added.label), added.source_group, added.split) == ("cat", "anna", met.item.split)
    assert run(root, capsys)["unchanged"] == 5


def test_an_import_may_say_that_copies_are_meant(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "a", {"cat/1.png": png(1)}), capsys)
    other = folder(tmp_path / "b", {"cat/one.png": png(1)})
    met = run(other, capsys)
    assert (met["present"], met["imported"]) == (1, 0)
    assert run(other, capsys, "--add-copies")["imported"] == 1


def test_every_content_lies_in_storage_under_its_hash(tmp_path: Path, capsys: Any):
    run(packed(tmp_path / "pets.zip", PETS), capsys)
    for content in Content.objects.all():
        assert len(storage.read_bytes(content.sha256)) == content.size
        assert storage.path_of(content.preview).exists()


def test_what_cannot_be_used_is_reported_with_its_reason(tmp_path: Path, capsys: Any):
    files = {
        "cat/good.png": png(1),
        "cat/really_png.jpg": png(2),
        "cat/empty.png": b"",
        "cat/cut.png": png(3, size=200)[:400],
        "cat/noise.png": b"\x93\xfe\x00 nothing known",
        "cat/more.zip": b"PK\x03\x04",
        "readme.md": b"hello",
        "../outside.png": png(4),
        ".DS_Store": b"x",
    }
    result = run(packed(tmp_path / "a.zip", files), capsys)
    codes = dict(UploadEntry.objects.values_list("name", "code"))
    assert codes == {
        "cat/good.png": "",
        "cat/really_png.jpg": "wrong_extension",
        "cat/empty.png": "zero_bytes",
        "cat/cut.png": "truncated",
        "cat/noise.png": "unreadable",
        "cat/more.zip": "nested_archive",
        "readme.md": "not_media",
        "../outside.png": "outside_archive",
    }
    assert (result["imported"], result["rejected"], result["odd"]) == (2, 6, 1)
    assert result["ignored"] == 1
    assert Item.objects.get(key="cat/really_png.jpg").is_odd


def test_an_encrypted_member_is_refused_by_name(tmp_path: Path, capsys: Any):
    path = packed(tmp_path / "a.zip", {"cat/1.png": png(1), "cat/2.png": png(2)})
    raw = bytearray(path.read_bytes())
    central = raw.index(b"PK\x01\x02")
    raw[central + 8] |= 1  # general purpose bit 0 of the first entry
    path.write_bytes(raw)
    run(path, capsys)
    assert entry("cat/1.png").code == "encrypted"


def test_a_damaged_member_does_not_stop_the_others(tmp_path: Path, capsys: Any):
    path = packed(tmp_path / "a.zip", {"cat/1.png": png(1), "cat/2.png": png(2)})
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"IDAT") + 10] ^= 0xFF
    path.write_bytes(raw)
    assert run(path, capsys)["imported"] == 1
    assert entry("cat/1.png").code == "unreadable"


def test_what_is_no_zip_is_refused_in_words(tmp_path: Path, capsys: Any):
    path = tmp_path / "a.zip"
    path.write_bytes(b"not a zip at all")
    with pytest.raises(CommandError, match="not a zip archive"):
        run(path, capsys, "--media", "image")


def test_a_manifest_beats_the_folders_and_its_lines_are_answered_for(tmp_path: Path, capsys: Any):
    files = {"cat/1.png": png(1), "cat/2.png": png(2), "cat/3.png": png(3)}
    table = tmp_path / "labels.csv"
    table.write_text(
        "\ufefffile;label;split;speaker;camera\n"
        "cat/1.png;dog;test;ann;K1\n"
        "cat/2.png;cat;nowhere;bob;\n"
        "cat/2.png;dog;train;bob;\n"
        "cat/9.png;cat;train;eve;\n",
        encoding="utf-8",
    )
    result = run(packed(tmp_path / "a.zip", files), capsys, "--labels", str(table))
    first = Item.objects.get(key="cat/1.png")
    assert (first.label.name, first.split, first.source_group) == ("dog", "test", "ann")
    assert first.metadata == {"camera": "K1"}
    lines = dict(UploadEntry.objects.filter(line__gt=0).values_list("line", "code"))
    assert lines == {4: "duplicate_key", 5: "no_file"}
    assert "'dog' here" in UploadEntry.objects.get(line=4).reason
    assert UploadEntry.objects.get(name="cat/2.png", line=0).code == "unknown_split"
    assert entry("cat/3.png").code == "no_row"
    assert Item.objects.get(key="cat/3.png").label.name == "cat"
    assert result["manifest"] == "labels.csv"


def test_columns_can_be_named_and_wrong_names_list_the_right_ones(tmp_path: Path, capsys: Any):
    path = packed(tmp_path / "a.zip", {"1.png": png(1), "2.png": png(2)})
    table = tmp_path / "labels.csv"
    table.write_text("id,kind,animal\n1,x,cat\n2,y,dog\n")
    with pytest.raises(CommandError, match="It has: id, kind, animal"):
        run(path, capsys, "--labels", str(table), "--column", "label=species")
    run(path, capsys, "--labels", str(table), "--column", "label=animal")
    assert Item.objects.get(key="1").label.name == "cat"


def test_a_table_in_another_encoding_names_the_line(tmp_path: Path, capsys: Any):
    path = packed(tmp_path / "a.zip", {"1.png": png(1)})
    table = tmp_path / "labels.csv"
    table.write_bytes("file,label\n1.png,café\n".encode("latin-1"))
    with pytest.raises(CommandError, match="in line 2"):
        run(path, capsys, "--labels", str(table))


def test_texts_come_from_tables_with_row_numbers_as_keys(tmp_path: Path, capsys: Any):
    root = folder(
        tmp_path / "t",
        {
            "train.csv": b"text,category\nhello there,greet\nbye,leave\n,leave\n",
            "test.jsonl": b'{"sentence": "good day", "category": "greet"}\nnot json\n',
        },
    )
    result = run(root, capsys, "--media", "text")
    items = {i.key: (i.split, i.content.text, i.label.name) for i in Item.objects.all()}
    assert items == {
        "train-000001": ("train", "hello there", "greet"),
        "train-000002": ("train", "bye", "leave"),
        "test-000001": ("test", "good day", "greet"),
    }
    assert (result["imported"], result["rejected"]) == (3, 2)
    assert UploadEntry.objects.get(code="bad_row").line == 2
    assert UploadEntry.objects.get(code="zero_bytes").line == 4


def test_other_bytes_under_a_key_are_a_conflict_until_replaced(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "one", {"cat/1.png": png(1), "dog/2.png": png(2)}), capsys)
    kept = Item.objects.get(key="cat/1.png").content_id
    other = folder(tmp_path / "two", {"cat/1.png": png(9), "dog/2.png": png(2)})
    assert run(other, capsys)["conflict"] == 1
    assert Item.objects.get(key="cat/1.png").content_id == kept
    assert differences.replace_conflicts(upload=Upload.objects.latest("pk")) == 1
    assert Item.objects.get(key="cat/1.png").content_id != kept
    assert run(tmp_path / "one", capsys, "--replace")["replaced"] == 1
    assert Item.objects.get(key="cat/1.png").content_id == kept


def test_other_labels_wait_for_a_person_and_never_beat_one(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "a", {"1.png": png(1), "2.png": png(2)}), capsys)
    dataset = Dataset.objects.get()
    for name in ("cat", "dog"):
        LabelClass.objects.create(dataset=dataset, name=name)
    cat = dataset.classes.get(name="cat")
    reviewed = dataset.items.get(key="2.png")
    labels.set_labels(labels={reviewed.pk: cat}, source=LabelSource.REVIEW)
    table = tmp_path / "labels.csv"
    table.write_text("file,label,camera\n1.png,dog,K1\n2.png,dog,\n")
    result = run(tmp_path / "a", capsys, "--labels", str(table))
    assert (result["different"], result["unchanged"]) == (1, 1)
    assert entry("2.png").code == "label_by_people"
    assert dataset.items.get(key="1.png").label is None
    assert differences.apply_differences(upload=Upload.objects.latest("pk")) == 1
    changed = dataset.items.get(key="1.png")
    assert (changed.label.name, changed.metadata) == ("dog", {"camera": "K1"})
    assert dataset.items.get(key="2.png").label == cat


def test_an_unknown_class_is_offered_to_be_added(tmp_path: Path, capsys: Any):
    make_dataset("pets", classes=("cat",))
    root = folder(tmp_path / "a", {"cat/1.png": png(1), "owl/2.png": png(2), "owl/3.png": png(3)})
    assert run(root, capsys)["imported"] == 3
    assert Item.objects.filter(label__isnull=True).count() == 2
    upload = Upload.objects.latest("pk")
    assert differences.add_class(upload=upload, name="owl") == 2
    assert Item.objects.filter(label__name="owl").count() == 2


def test_a_split_is_proposed_once_and_can_be_taken_back(tmp_path: Path, capsys: Any):
    files = {f"{'cat' if n % 2 else 'dog'}/{n}.png": png(n) for n in range(40)}
    result = run(folder(tmp_path / "a", files), capsys)
    assert result["split"]["proposed"]
    assert set(Item.objects.values_list("split", flat=True)) == {"train", "validation", "test"}
    assert splitting.remove_proposed(upload=Upload.objects.get()) == 40
    assert set(Item.objects.values_list("split", flat=True)) == {"none"}
    assert run(tmp_path / "a", capsys, "--split-from", "none", name="bare")["split"] == {}


def name_sources(tmp_path: Path, capsys: Any) -> Upload:
    """Import 40 clips of 10 people without saying so, then a table that names the people."""
    files = {f"{'cat' if n % 2 else 'dog'}/{n}.png": png(n) for n in range(40)}
    root = folder(tmp_path / "a", files)
    run(root, capsys)
    table = tmp_path / "people.csv"
    lines = [f"{name},p{place // 4}" for place, name in enumerate(files)]
    table.write_text("\n".join(["file,speaker", *lines]))
    assert run(root, capsys, "--labels", str(table))["different"] == 40
    return Upload.objects.latest("pk")


def divided() -> set[str]:
    """Return the sources whose items are in several splits."""
    splits: dict[str, set[str]] = {}
    for source, split in Item.objects.values_list("source_group", "split"):
        splits.setdefault(source, set()).add(split)
    return {source for source, found in splits.items() if len(found) > 1}


def test_a_proposed_split_follows_sources_that_are_named_later(tmp_path: Path, capsys: Any):
    upload = name_sources(tmp_path, capsys)
    assert differences.apply_differences(upload=upload) == 40
    assert not divided()
    assert set(Item.objects.values_list("split", flat=True)) >= {"train", "test"}
    assert upload.options["split_again"] == "done"
    first = Upload.objects.earliest("pk")
    assert sum(first.options["result"]["split"]["counts"].values()) == 40


@pytest.mark.parametrize("what", ["version", "move"])
def test_a_split_that_was_built_on_waits_for_a_leads_word(tmp_path: Path, capsys: Any, what: str):
    upload = name_sources(tmp_path, capsys)
    if what == "version":
        freeze_version(dataset=upload.dataset)
    else:
        moved = Item.objects.filter(split="train").values_list("pk", flat=True)[:1]
        labels.move_items(items=moved, split="test")
    before = dict(Item.objects.values_list("pk", "split"))
    differences.apply_differences(upload=upload)
    assert dict(Item.objects.values_list("pk", "split")) == before
    assert upload.options["split_again"] == "ignores"
    assert divided()
    assert splitting.propose_again(upload=upload) == 40
    assert not divided()


def later(tmp_path: Path, capsys: Any, *arguments: str) -> dict[str, Any]:
    """Import 40 items in splits, then six of known sources and four others without any split."""
    known = [f"train/cat/{n}.png,ann,train" for n in range(30)]
    known += [f"test/dog/{n}.png,bob,test" for n in range(30, 40)]
    files = {row.partition(",")[0]: png(n) for n, row in enumerate(known)}
    table = "\n".join(["file,speaker,split", *known])
    run(folder(tmp_path / "a", {**files, "labels.csv": table.encode()}), capsys)
    new = [
        f"cat/{n}.png,{'ann' if n < 43 else 'bob' if n < 46 else f'p{n}'}" for n in range(40, 50)
    ]
    files = {row.partition(",")[0]: png(n) for n, row in enumerate(new, 40)}
    table = "\n".join(["file,speaker", *new])
    root = folder(tmp_path / "b", {**files, "labels.csv": table.encode()})
    return run(root, capsys, *arguments)


def splits_of(*sources: str) -> set[str]:
    new = Item.objects.filter(key__startswith="cat/", source_group__in=sources)
    return set(new.values_list("split", flat=True))


def test_items_of_a_later_import_join_the_split_of_their_source(tmp_path: Path, capsys: Any):
    result = later(tmp_path, capsys)
    assert result["split"]["counts"] == {"train": 7}
    assert result["split"]["for_test"] == 3
    assert splits_of("ann") == {"train"}
    assert splits_of("bob") == {"none"}, "the test split stays sealed until a person says so"
    assert splits_of("p46", "p47", "p48", "p49") == {"train"}
    upload = Upload.objects.latest("pk")
    assert splitting.join_test(upload=upload) == 3
    assert splits_of("bob") == {"test"}
    assert splitting.join_test(upload=upload) == 0
    assert splitting.remove_proposed(upload=upload) == 10
    assert splits_of("ann", "bob", "p46") == {"none"}
    assert Item.objects.exclude(split="none").count() == 40


def test_the_test_split_grows_with_an_import_that_says_so(tmp_path: Path, capsys: Any):
    result = later(tmp_path, capsys, "--grow-test")
    assert result["split"]["counts"] == {"train": 7, "test": 3}
    assert splits_of("bob") == {"test"}


def test_a_dataset_that_was_left_without_splits_stays_so(tmp_path: Path, capsys: Any):
    run(folder(tmp_path / "a", {"cat/1.png": png(1)}), capsys, "--split-from", "none")
    assert run(folder(tmp_path / "b", {"cat/2.png": png(2)}), capsys)["split"] == {}


def test_a_full_disk_refuses_before_anything_is_written(tmp_path: Path, capsys: Any, settings: Any):
    settings.LEAST_FREE_BYTES = 2**60
    with pytest.raises(CommandError, match="too full"):
        run(folder(tmp_path / "a", {"cat/1.png": png(1)}), capsys)
    assert not Item.objects.exists()


def test_work_done_side_by_side_keeps_its_order_and_its_errors():
    values = list(range(50))
    with ThreadPoolExecutor(storage.THREADS) as pool:
        made = storage.side_by_side(lambda value: 60 / (value + 1), values, pool=pool)
        assert made == [60 / (value + 1) for value in values]
        with pytest.raises(ZeroDivisionError):
            storage.side_by_side(lambda value: 60 / (value - 30), values, pool=pool)


def test_work_that_lost_its_lease_writes_nothing_more(tmp_path: Path):
    root = folder(tmp_path / "a", {"cat/1.png": png(1)})
    _, job = importing.open_import(dataset=make_dataset(), path=root, by=make_user())
    stale = jobs.Work(jobs.claim(job.pk))
    type(job).objects.filter(pk=job.pk).update(attempt=2)
    with pytest.raises(jobs.JobStoppedError):
        importing.import_upload(stale)
    assert not Item.objects.exists()


def test_the_torture_set_is_imported_or_reported(capsys: Any):
    result = run(shared_path("data/imagededup_tests/images.zip"), capsys)
    assert (result["imported"], result["rejected"]) == (31, 2)
    odd = UploadEntry.objects.filter(is_odd=True).values_list("name", "code")
    assert {name for name, code in odd if code == "wrong_extension"} == {
        f"formats_images/ukbench09380.{ending}" for ending in ("bmp", "png", "svg")
    }
    assert {e.name.rsplit("/")[-1] for e in UploadEntry.objects.filter(outcome="rejected")} == {
        "ukbench09268_corrupt.jpg"
    }


def test_uncommon_wav_formats_are_imported(capsys: Any):
    assert run(shared_path("data/wav_formats/audio.zip"), capsys)["imported"] == 24


def test_a_file_that_another_dataset_knows_as_a_picture_is_still_no_sound(
    tmp_path: Path, capsys: Any
):
    sound = pcm16_wav(np.zeros((800, 1)), 8_000)
    files = folder(tmp_path / "mixed", {"cat/1.png": png(), "cat/2.wav": sound})
    run(files, capsys, "--media", "image", name="pets")
    result = run(files, capsys, "--media", "audio", name="sounds")
    assert (result["imported"], result["rejected"]) == (1, 1)


def test_a_damaged_table_of_texts_is_refused_in_words(tmp_path: Path):
    path = packed(tmp_path / "texts.zip", {"a.csv": b"text,label\n" + b"hello there,x\n" * 50})
    damaged = bytearray(path.read_bytes())
    damaged[60] ^= 0xFF
    path.write_bytes(damaged)
    with pytest.raises(CommandError, match=r"a\.csv: The archive is damaged here"):
        call_command("import_dataset", "texts", str(path), "--media", "text")


def test_json_lines_may_hold_what_no_database_keeps(tmp_path: Path, capsys: Any):
    lines = r'{"text": "half \ud800 and zero \u0000 here", "note": "\u0000\udfff", "label": "x"}'
    (tmp_path / "t.jsonl").write_text(lines + "\n")
    result = run(tmp_path / "t.jsonl", capsys, "--media", "text", name="texts")
    assert result["imported"] == 1
    item = Item.objects.select_related("content").get()
    assert item.content.text == "half ? and zero  here"
    assert item.metadata == {"note": "?"}


def test_a_class_that_is_out_of_use_is_not_added_again(tmp_path: Path, capsys: Any):
    files = folder(tmp_path / "in", {"cat/1.png": png(1), "dog/2.png": png(2)})
    run(files, capsys)
    upload = Upload.objects.get()
    LabelClass.objects.filter(name="dog").update(retired_at="2026-01-01T00:00:00Z", key="")
    assert differences.add_class(upload=upload, name="dog") == 0


def test_a_quotation_mark_that_nothing_closes_is_refused_with_its_line(tmp_path: Path):
    table = b'key,label\n1.png,cat\n2.png,"dog\n3.png,cat\n4.png,dog\n'
    files = {f"{n}.png": png(n) for n in range(1, 5)} | {"labels.csv": table}
    with pytest.raises(CommandError, match="quotation mark in line 3 is never closed"):
        call_command("import_dataset", "pets", str(folder(tmp_path / "root", files)))
    assert not Item.objects.exists()


def test_a_table_that_is_not_used_says_why(tmp_path: Path, capsys: Any):
    files = {
        "1.png": png(1),
        "labels.csv": b"key,label\n1.png,cat\n",
        "notes.csv": b"who,when\nann,today\n",
        "others.csv": b"file,label\n7.png,dog\n",
        "deep/labels.csv": b"key,label\n1.png,dog\n",
    }
    run(folder(tmp_path / "root", files), capsys)
    assert Item.objects.get().label.name == "cat"
    assert "who, when" in entry("notes.csv").reason
    assert "No line" in entry("others.csv").reason
    assert "where the import begins" in entry("deep/labels.csv").reason


def test_a_file_without_a_line_keeps_the_class_of_its_folder(tmp_path: Path, capsys: Any):
    files = {"cat/1.png": png(1), "cat/2.png": png(2), "new/3.png": png(3)}
    table = b"key,label\ncat/1.png,cat\n"
    run(folder(tmp_path / "root", files | {"labels.csv": table}), capsys)
    labels_now = {i.key: i.label and i.label.name for i in Item.objects.all()}
    assert labels_now == {"cat/1.png": "cat", "cat/2.png": "cat", "new/3.png": None}


def test_a_class_name_that_is_too_long_is_cut_and_said_so(tmp_path: Path, capsys: Any):
    table = f"key,label\n1.png,{'long' * 100}\n".encode()
    run(folder(tmp_path / "root", {"1.png": png(1), "labels.csv": table}), capsys)
    assert Item.objects.get().label.name == "long" * 25
    assert entry("1.png").code == "label_too_long"


def test_columns_with_one_name_are_told_apart(tmp_path: Path, capsys: Any):
    table = b"key,label,note,note\n1.png,cat,first,second\n"
    run(folder(tmp_path / "root", {"1.png": png(1), "labels.csv": table}), capsys)
    assert Item.objects.get().metadata == {"note": "first", "note (2)": "second"}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_an_export_comes_back_as_it_was(tmp_path: Path, capsys: Any, form: str):
    files = {"=1+1.png": png(1), "-2.png": png(2), "'=3.png": png(3)}
    table = "key,label,speaker,note\n=1+1.png,@cat,ann,=A1\n-2.png,dog,bob,\n'=3.png,dog,bob,'=x\n"
    root = folder(tmp_path / "root", files | {"labels.csv": table.encode()})
    run(root, capsys)
    before = list(Item.objects.order_by("key").values("key", "source_group", "metadata", "label"))
    assert before[2]["metadata"] == {"note": "=A1"}
    (root / "labels.csv").unlink()
    out = tmp_path / f"out.{form}"
    call_command("export", "pets", "--format", form, "--out", str(out))
    result = run(root, capsys, "--labels", str(out))
    assert (result["unchanged"], result["rejected"]) == (3, 0)
    run(root, capsys, "--labels", str(out), name="others")
    again = Item.objects.filter(dataset__slug="others").order_by("key")
    assert [(i.key, i.source_group, i.metadata) for i in again] == [
        (row["key"], row["source_group"], row["metadata"]) for row in before
    ]


def test_exported_labels_make_no_source_groups(tmp_path: Path, capsys: Any):
    root = folder(tmp_path / "root", {"cat/1.png": png(1), "dog/2.png": png(2)})
    run(root, capsys)
    out = tmp_path / "labels.csv"
    call_command("export", "pets", "--what", "labels", "--out", str(out))
    assert run(root, capsys, "--labels", str(out))["unchanged"] == 2
    assert set(Item.objects.values_list("source_group", flat=True)) == {""}


def test_an_import_of_which_nothing_could_be_used_ends_with_status_1(tmp_path: Path, capsys: Any):
    with pytest.raises(CommandError, match="Nothing could be used: 2 rejected"):
        run(folder(tmp_path / "root", {"cat/1.png": b"", "cat/2.png": b"nothing"}), capsys)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rejected"] == 2


GERMAN = b"Datei;Wort;Sprecher\n" + b"".join(
    f"{n}.png;{'ja' if n % 2 else 'nein'};p{n // 2}\n".encode() for n in range(1, 7)
)
CLIPS = {f"clips/{n}.png": png(n) for n in range(1, 7)}


def test_a_table_without_known_headers_is_read_by_its_content(tmp_path: Path, capsys: Any):
    result = run(packed(tmp_path / "a.zip", CLIPS | {"daten.csv": GERMAN}), capsys)
    assert (result["imported"], result["by_content"]) == (6, "Datei")
    assert not Item.objects.filter(label__isnull=False).exists()
    assert not LabelClass.objects.exists()
    assert result["label_choices"] == ["Wort"]


def test_a_table_that_names_nothing_stops_the_import_and_asks(tmp_path: Path, capsys: Any):
    table = b"Nummer;Wort\n" + b"".join(f"x{n};{n % 2}\n".encode() for n in range(8))
    path = packed(tmp_path / "a.zip", CLIPS | {"daten.csv": table})
    with pytest.raises(CommandError, match=r"Nummer, Wort\. The first line: Nummer=x0"):
        run(path, capsys)
    assert not Item.objects.exists()
    question = Upload.objects.get().options["question"]
    assert question["guess"] == {"label": "Wort"}
    assert len(question["rows"]) == 5
    result = run(path, capsys, "--without-table")
    assert (result["imported"], result["one_folder"]) == (6, "clips")
    assert [unused["table"] for unused in result["unused"]] == ["daten.csv"]
    assert entry("daten.csv").code == "table_not_used"


def test_one_folder_alone_is_no_class_but_a_known_one_is(tmp_path: Path, capsys: Any):
    files = {"train/pictures/1.png": png(1), "val/pictures/2.png": png(2)}
    assert run(folder(tmp_path / "root", files), capsys)["one_folder"] == "pictures"
    assert not Item.objects.filter(label__isnull=False).exists()
    dataset = Item.objects.first().dataset
    LabelClass.objects.create(dataset=dataset, name="pictures")
    run(folder(tmp_path / "more", {"train/pictures/3.png": png(3), "a.txt": b""}), capsys)
    assert Item.objects.get(key="train/pictures/3.png").label.name == "pictures"


def test_labels_come_later_from_a_table_alone(tmp_path: Path, capsys: Any):
    run(packed(tmp_path / "a.zip", CLIPS | {"b/9.png": png(9)}), capsys, "--split-from", "none")
    Item.objects.update(label=None, label_source=LabelSource.NONE)
    table = tmp_path / "later.csv"
    table.write_text("key,label,group\nclips/1.png,b,ann\n2.png,clips,bob\n77.png,b,eve\n")
    result = run(table, capsys)
    assert (result["different"], result["rejected"], result["imported"]) == (2, 1, 0)
    assert not Item.objects.filter(label__isnull=False).exists()
    differences.apply_differences(upload=Upload.objects.latest("pk"))
    said = Item.objects.filter(label__isnull=False).order_by("key")
    assert [(i.key, i.label.name, i.source_group) for i in said] == [
        ("clips/1.png", "b", "ann"),
        ("clips/2.png", "clips", "bob"),
    ]
    assert run(table, capsys)["unchanged"] == 2


def test_texts_get_labels_from_a_table_without_texts(tmp_path: Path, capsys: Any):
    (tmp_path / "t.csv").write_text(
        "id,message,topic,customer\n"
        + "".join(f"m{n},words {n},{n % 2},c{n // 2}\n" for n in range(8))
    )
    result = run(tmp_path / "t.csv", capsys, name="mails")
    assert result["label_choices"] == ["topic", "customer"]
    (tmp_path / "later.csv").write_text("id,label\nm1,late\nm2,early\n")
    assert run(tmp_path / "later.csv", capsys, name="mails")["different"] == 2
    assert Item.objects.count() == 8
