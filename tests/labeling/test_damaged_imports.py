"""Whatever bytes an import holds, it is read or refused in words: no crash, no hang."""

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from labeling.models import Annotation, Dataset
from labeling.services.intake.members import Member, MemberError, list_members
from labeling.services.intake.tables import captured, read_table
from labeling.services.jobs import Refused
from tests.factories import make_dataset, make_item

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
COLUMNS = "key,label,captured_at\na.png,cat,2024-05-01\nb.png,dog,\n"
LINES = '{"key": "a.png", "label": ["cat", 1e999], "text": "\\ud800"}\n'


def packed() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, packing in enumerate(PACKINGS):
            archive.writestr(f"folder/ä{number}.txt", b"words " * 9, packing)
    return buffer.getvalue()


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """The bytes with some of them changed, and perhaps the end missing."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 12))):
        content[draw(st.integers(0, len(content) - 1))] = draw(st.integers(0, 255))
    return bytes(content[: draw(st.none() | st.integers(0, len(content)))])


def faults_of_archive(content: bytes, folder: Path) -> list[str]:
    """Return what is neither read as it should be nor refused in words."""
    path = folder / "sent.zip"
    path.write_bytes(content)
    try:
        members = list_members(path).members
    except Refused as refused:
        return [] if str(refused) else ["refused without a reason"]
    return [f"{member.name}: {fault}" for member in members if (fault := fault_of(member))]


def fault_of(member: Member) -> str:
    try:
        read = len(member.read())
    except MemberError as error:
        return "" if all(error.problem) else "refused without a reason"
    return "" if read <= member.size else f"{read} bytes, though {member.size} are said"


def faults_of_table(content: bytes, name: str) -> list[str]:
    """Return what is neither read as it should be nor refused in words."""
    try:
        table = read_table(name, content)
    except Refused as refused:
        return [] if str(refused) else ["refused without a reason"]
    faults = [] if len(set(table.columns)) == len(table.columns) else ["a column twice"]
    for row in table.rows:
        texts = (*row.cells, *row.cells.values())
        faults += [f"zero in {text!r}" for text in texts if b"\x00" in text.encode()]
        moment = captured(table.cell(row, "captured_at"))
        faults += [f"{moment} has no zone"] if moment and not moment.tzinfo else []
    return faults


cheap = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
long = settings(cheap, max_examples=2_000)


@cheap
@given(damaged(packed()))
def test_a_damaged_archive_is_listed_or_refused(tmp_path: Path, content: bytes) -> None:
    assert faults_of_archive(content, tmp_path) == []


@cheap
@example(b'{"a": ' + b"[" * 100_000, "x.jsonl")
@example(b'{"a": ' + b"1" * 5_000 + b"}", "x.jsonl")
@example(b"key,metadata,label,label_source,sha256,split\na,{" + b"[" * 9_000 + b",,,,\n", "x.csv")
@example(b"a," * 3_000 + b"\n1\n", "x.csv")
@given(
    st.one_of(damaged(COLUMNS.encode()), damaged(LINES.encode()), st.binary(max_size=60)),
    st.sampled_from(("x.csv", "x.tsv", "x.jsonl", "x.csv.gz", "x")),
)
def test_a_damaged_table_is_read_or_refused(content: bytes, name: str) -> None:
    assert faults_of_table(content, name) == []


@pytest.mark.slow
@long
@given(damaged(packed()), damaged(COLUMNS.encode()), damaged(LINES.encode()))
def test_many_damaged_archives_and_tables_are_read_or_refused(
    tmp_path: Path, archive: bytes, cells: bytes, lines: bytes
) -> None:
    assert faults_of_archive(archive, tmp_path) == []
    assert faults_of_table(cells, "x.csv") == []
    assert faults_of_table(lines, "x.jsonl") == []


ANSWERS = (
    b"item,annotator,answer,seconds\n1,ann,cat,2.5\n1,bob,dog,1e9\n2,ann,unsure,\n2,bob,cat,3\n"
)


@pytest.mark.django_db
@settings(cheap, max_examples=15, deadline=None)
@example(ANSWERS.replace(b"2.5", b"1e999").replace(b"bob", b"b\x00b" + b"o" * 999))
@given(damaged(ANSWERS))
def test_a_damaged_table_of_answers_is_imported_or_refused(tmp_path: Path, content: bytes) -> None:
    dataset = Dataset.objects.filter(slug="pets").first() or make_dataset("pets")
    for key in ("1", "2"):
        if not dataset.items.filter(key=key).exists():
            make_item(dataset, key)
    (tmp_path / "a.csv").write_bytes(content)
    before, said = Annotation.objects.count(), io.StringIO()
    try:
        call_command("import_annotations", "pets", str(tmp_path / "a.csv"), "--json", stdout=said)
    except CommandError as refused:
        added, words = 0, str(refused)
    else:
        added, words = json.loads(said.getvalue())["answers"], "imported"
    assert words
    assert Annotation.objects.count() == before + added


@example("0001-01-01T00:00+14:00")
@example("9999-12-31T23:59-12:00")
@settings(max_examples=60)
@given(st.text(max_size=30) | st.datetimes().map(str))
def test_a_captured_time_is_one_that_a_database_keeps_or_none(cell: str) -> None:
    moment = captured(cell)
    if moment is not None:
        assert isinstance(moment.astimezone(UTC), datetime)
