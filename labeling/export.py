"""Writers of exports: rows in, pieces of bytes out, the same bytes each time.

Nothing here holds more than a piece, so that the first byte leaves early and a million rows
need no more memory than a hundred. A zip holds the names of its members, nothing else.
"""

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

PIECE_BYTES = 64 * 2**10
ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can state
ZIP_FILE_MODE = 0o100644 << 16
ZIP_MADE_ON_UNIX = 3
# What a spreadsheet reads as the beginning of a formula (OWASP, CSV injection).
# A cell that has an apostrophe there already gets one more, so that an import knows which to take.
FORMULA_START = re.compile(r"'*[=+\-@\t\r]")
WINDOWS_FORBIDS = str.maketrans(dict.fromkeys('\\/:*?"<>|', "_"))
SPLIT_FOLDERS = frozenset({"train", "validation", "test"})


@dataclass(frozen=True)
class Rows:
    """Named columns and rows of plain values (text, numbers, None, lists, dicts)."""

    columns: tuple[str, ...]
    rows: Iterable[Sequence[Any]]


@dataclass(frozen=True)
class Member:
    """One item on its way into class folders."""

    key: str
    split: str
    label: str | None
    ending: str
    read: Callable[[], bytes]
    is_note: bool = False  # stands above the folders, under its own name


def as_csv(table: Rows) -> Iterator[bytes]:
    """Yield a CSV file; cells that a spreadsheet would run as a formula begin with an apostrophe.

    >>> b"".join(as_csv(Rows(("key", "score"), [("=1+1", -0.5)])))
    b"key,score\\n'=1+1,-0.5\\n"
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.rows:
        writer.writerow([cell_of(value) for value in row])
        if buffer.tell() >= PIECE_BYTES:
            yield _taken(buffer)
    yield _taken(buffer)


def as_jsonl(table: Rows) -> Iterator[bytes]:
    """Yield one JSON object a line, its names in the order of the columns.

    >>> b"".join(as_jsonl(Rows(("key", "score"), [("=1+1", None)])))
    b'{"key": "=1+1", "score": null}\\n'
    """
    buffer = io.StringIO()
    for row in table.rows:
        line = dict(zip(table.columns, row, strict=True))
        buffer.write(json.dumps(line, ensure_ascii=False, default=str))
        buffer.write("\n")
        if buffer.tell() >= PIECE_BYTES:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> bytes:
    piece = buffer.getvalue().encode("utf-8", "replace")
    buffer.seek(0)
    buffer.truncate()
    return piece


def cell_of(value: Any) -> Any:
    """Return what stands in a CSV cell; numbers stay numbers, text is made harmless.

    >>> cell_of("@SUM(A1)"), cell_of(-3), cell_of(None), cell_of({"b": 1})
    ("'@SUM(A1)", -3, '', '{"b": 1}')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False, sort_keys=True) if value else ""
    text = str(value)
    return f"'{text}" if FORMULA_START.match(text) else text


def as_folders(members: Iterable[Member]) -> Iterator[bytes]:
    """Yield a zip with one folder a class, below one a split where items have one.

    Members are stored, not packed: images and sound are packed already. Each leaves as soon as
    it is read, so the zip never exists as a whole.
    """
    placed = sorted(_placed(members), key=lambda pair: pair[0])
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, member in placed:
            entry = zipfile.ZipInfo(name, ZIP_DATE)
            entry.external_attr, entry.create_system = ZIP_FILE_MODE, ZIP_MADE_ON_UNIX
            archive.writestr(entry, member.read())
            if sink.size >= PIECE_BYTES:
                yield sink.take()
    yield sink.take()


def _placed(members: Iterable[Member]) -> Iterator[tuple[str, Member]]:
    used: set[str] = set()
    for member in members:
        name = wanted = member_name(member)
        count = 1
        while name.casefold() in used:  # also on disks that do not tell A from a
            count += 1
            path = PurePosixPath(wanted)
            name = str(path.with_name(f"{path.stem}-{count}{path.suffix}"))
        used.add(name.casefold())
        yield name, member


def member_name(member: Member) -> str:
    """Return where an item stands: the folders of its key that named split and class are replaced.

    >>> item = Member("train/cat/close/1.png", "test", "dog", "png", bytes)
    >>> member_name(item)
    'test/dog/close/1.png'
    """
    if member.is_note:
        return member.key
    folders = [_safe(part) for part in member.key.split("/") if part not in ("", ".", "..")]
    name = folders.pop() if folders else "item"
    if folders and folders[0] in SPLIT_FOLDERS:
        folders.pop(0)
    folders = folders[1:]  # what the key says about the class may no longer hold
    if "." not in name.strip(".") and member.ending:
        name = f"{name}.{member.ending}"
    split = [member.split] if member.split in SPLIT_FOLDERS else []
    label = _safe(member.label) if member.label else "unlabelled"
    return "/".join([*split, label, *folders, name])


def _safe(part: str) -> str:
    """Return a folder or file name that every system can write."""
    plain = "".join(letter for letter in part if letter.isprintable()).translate(WINDOWS_FORBIDS)
    return plain.strip(" .") or "_"


class _Sink(io.RawIOBase):
    """A file that only takes: zipfile writes, the caller takes what has come so far."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        content = bytes(piece)
        self._pieces.append(content)
        self.size += len(content)
        return len(content)

    def take(self) -> bytes:
        taken = b"".join(self._pieces)
        self._pieces, self.size = [], 0
        return taken
