"""What an import makes of files, folders, zips and tables."""

import io
import json
import re
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
    Item,
    LabelChange,
    LabelClass,
    Notice,
    Upload,
    UploadEntry,
)
from labeling.services import jobs
from labeling.services.intake import importing
from mlcore.riff import pcm16_wav
from tests.factories import make_dataset, make_user
from tests.shared import shared_path

pytestmark = pytest.mark.django_db


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


@pytest.mark.parametrize("start", ["pets/", r".*/"])
def test_a_table_beside_the_top_folder_leaves_what_folders_say(
    tmp_path: Path, capsys: Any, start: str
):
    lines = "".join(f"{re.sub(start, '', key)},p{n}\n" for n, key in enumerate(PETS))
    root = folder(tmp_path / "root", PETS | {"people.csv": f"file,speaker\n{lines}".encode()})
    assert run(root, capsys)["imported"] == 5
    items = Item.objects.values_list("split", "label__name", "source_group")
    assert list(items.order_by("source_group")) == [
        ("train", "cat", "p0"),
        ("train", "dog", "p1"),
        ("validation", "cat", "p2"),
        ("test", "dog", "p3"),
        ("none", None, "p4"),
    ]


def test_a_folder_and_a_zip_of_it_give_the_same_items(tmp_path: Path, capsys: Any):
    run(packed(tmp_path / "pets.zip", PETS), capsys)
    result = run(folder(tmp_path / "root", PETS), capsys)
    assert (result["imported"], result["unchanged"]) == (0, 5)
    assert Item.objects.count() == Content.objects.count() == 5


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


@pytest.mark.parametrize(
    "content",
    [
        b"file,label\n1.png,caf\x81\n",  # no letter in Windows-1252
        "file,label,note\n1.png,café,né à".encode() + b"\xe9\n",  # damaged UTF-8
        "\ufefffile,label,né à\n".encode() + b"\x81.png,cat,a\n",  # the same, with its mark
        "file,label\n1.png,café\n".encode("utf-16-le"),  # without the mark that says so
    ],
)
def test_a_table_that_no_encoding_fits_is_refused_with_the_line(
    tmp_path: Path, capsys: Any, content: bytes
):
    path = packed(tmp_path / "a.zip", {"1.png": png(1)})
    table = tmp_path / "labels.csv"
    table.write_bytes(content)
    with pytest.raises(CommandError, match=r"neither UTF-8 text nor Windows-1252.* in line 2"):
        run(path, capsys, "--labels", str(table))


def test_a_workbook_is_refused_with_what_to_do_instead(tmp_path: Path, capsys: Any):
    book = io.BytesIO()
    with zipfile.ZipFile(book, "w") as sheets:
        sheets.writestr("xl/workbook.xml", "<workbook/>")
    files = {"1.png": png(1), "labels.xlsx": book.getvalue()}
    assert run(folder(tmp_path / "root", files), capsys)["rejected"] == 1
    assert "CSV UTF-8" in entry("labels.xlsx").reason
    table = tmp_path / "root" / "labels.xlsx"
    with pytest.raises(CommandError, match="Save its sheet as “CSV UTF-8”"):
        run(tmp_path / "root", capsys, "--labels", str(table))


@pytest.mark.parametrize(
    ("encoding", "guessed"), [("windows-1252", ["labels.csv"]), ("utf-16", []), ("utf-8", [])]
)
def test_tables_of_excel_are_read_and_what_was_guessed_is_said(
    tmp_path: Path, capsys: Any, encoding: str, guessed: list[str]
):
    path = packed(tmp_path / "a.zip", {"1.png": png(1)})
    table = tmp_path / "labels.csv"
    table.write_bytes("file;label\r\n1.png;Käse – 3 €\r\n".encode(encoding))
    assert run(path, capsys, "--labels", str(table))["guessed"] == guessed
    assert Item.objects.get().label.name == "Käse – 3 €"


def test_text_files_are_read_as_tables_are_and_what_was_guessed_is_said(
    tmp_path: Path, capsys: Any
):
    words = "Grüß dich, wo ist meine Karte?"
    ways = {"8": "utf-8", "8-sig": "utf-8-sig", "16": "utf-16", "excel": "windows-1252"}
    files = {f"a/{name}.txt": f"{words} {name}".encode(way) for name, way in ways.items()}
    files["a/none.txt"] = b"Gr\x81\x8d"
    found = run(folder(tmp_path / "texts", files), capsys, "--media", "text", name="words")
    assert (found["imported"], found["rejected"], found["odd"]) == (4, 1, 0)
    texts = set(Item.objects.values_list("content__text", flat=True))
    assert texts == {f"{words} {name}" for name in ways}
    assert entry("a/excel.txt").reason == "Not UTF-8: read as Windows-1252."
    assert [entry(f"a/{name}.txt").reason for name in ("8", "8-sig", "16")] == ["", "", ""]
    assert "byte 0x81 in line 1" in entry("a/none.txt").reason


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


def test_a_full_disk_refuses_before_anything_is_written(tmp_path: Path, capsys: Any, settings: Any):
    settings.LEAST_FREE_BYTES = 2**60
    with pytest.raises(CommandError, match="too full"):
        run(folder(tmp_path / "a", {"cat/1.png": png(1)}), capsys)
    assert not Item.objects.exists()


@pytest.mark.parametrize("threads", [1, storage.THREADS])
def test_work_done_side_by_side_keeps_its_order_and_its_errors(threads: int):
    values = list(range(50))
    with ThreadPoolExecutor(storage.THREADS) as pool:
        made = storage.side_by_side(
            lambda value: 60 / (value + 1), values, pool=pool, threads=threads
        )
        assert made == [60 / (value + 1) for value in values]
        with pytest.raises(ZeroDivisionError):
            storage.side_by_side(
                lambda value: 60 / (value - 30), values, pool=pool, threads=threads
            )


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


def test_an_import_of_which_nothing_could_be_used_ends_with_status_1(tmp_path: Path, capsys: Any):
    with pytest.raises(CommandError, match="Nothing could be used: 2 rejected"):
        run(folder(tmp_path / "root", {"cat/1.png": b"", "cat/2.png": b"nothing"}), capsys)
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["rejected"] == 2
    assert Notice.objects.get().words == "Import of root: nothing could be used, 2 files rejected"


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
