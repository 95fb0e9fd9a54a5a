"""The members of a zip archive or a folder, listed without opening them."""

import lzma
import os
import stat
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from posixpath import splitext

from labeling.services.intake.placing import is_junk, is_outside, plain_name
from labeling.services.jobs import Hopeless, Refused

MOST_NAME_CHARACTERS = 400  # what the columns for keys and names hold
ARCHIVES = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"})
TABLES = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})
ENCRYPTED = 0x1  # general purpose bit 0 of a zip entry (APPNOTE.TXT 4.4.4)
UTF8_NAME = 0x800  # bit 11

# What zipfile and the unpackers below it raise on damaged entries.
DAMAGES = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)

Problem = tuple[str, str]
"""A code and a sentence for the person who sent the file."""


class MemberError(Exception):
    """The bytes of a member cannot be had."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.problem: Problem = (code, reason)


@dataclass(frozen=True)
class Member:
    """One file of an import; `read` gives its bytes, `problem` says why it must not be read."""

    name: str
    size: int
    read: Callable[[], bytes]
    problem: Problem | None = None


@dataclass(frozen=True)
class Listing:
    """All members, sorted by name, and how many files of operating systems were left out."""

    members: list[Member]
    ignored: int

    @property
    def bytes(self) -> int:
        return sum(member.size for member in self.members if not member.problem)


def list_members(path: Path, *, open_archives: bool = False) -> Listing:
    """List a zip, a folder or a single file; with `open_archives` also zips lying in the folder."""
    if path.is_dir():
        found = list(_of_folder(path, open_archives=open_archives))
    elif path.is_file() and (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)):
        found = list(_of_zip(path))
    elif path.is_file():
        found = [_of_file(str(path), path.name)]
    else:
        raise Refused(f"There is no file or folder {path}.")
    kept = [member for member in found if not is_junk(member.name)]
    kept.sort(key=lambda member: member.name)
    return Listing(list(_named_once(kept)), len(found) - len(kept))


def sent_names(path: Path) -> str:
    """Name what was sent: a browser's files lie in a folder that nobody but Winnow knows."""
    names = sorted(each.name for each in path.iterdir() if each.is_file()) if path.is_dir() else []
    return ", ".join(names[:3]) + (", …" if len(names) > 3 else "") if names else path.name


def is_table(name: str) -> bool:
    """Tell whether a name is that of a table (CSV, TSV, JSONL), packed with gzip or not.

    >>> is_table("labels.csv"), is_table("train.csv.gz"), is_table("1.png")
    (True, True, False)
    """
    return splitext(name.lower().removesuffix(".gz"))[1] in TABLES


def _is_archive(name: str) -> bool:
    return splitext(name)[1].lower() in ARCHIVES and not is_table(name)


def _named_once(members: list[Member]) -> Iterator[Member]:
    """Zips may hold a name twice; the first counts, the others are reported."""
    seen: dict[str, int] = {}
    for member in members:
        seen[member.name] = count = seen.get(member.name, 0) + 1
        if count == 1:
            yield member
        else:
            reason = "The archive holds this name more than once; the first one counts."
            name = f"{member.name} #{count}"
            yield replace(member, name=name, problem=("duplicate_member", reason))


def _checked(member: Member) -> Member:
    if member.problem:
        return member
    if len(member.name) > MOST_NAME_CHARACTERS:
        reason = f"The path has more than {MOST_NAME_CHARACTERS} characters: {member.name[:200]}"
        cut = member.name[: MOST_NAME_CHARACTERS - 20]
        return replace(member, name=cut, problem=("name_too_long", reason[:400]))
    if _is_archive(member.name):
        reason = "An archive inside the import is not opened; unpack it first."
        return replace(member, problem=("nested_archive", reason))
    return member


def _of_folder(root: Path, *, open_archives: bool) -> Iterator[Member]:
    """Walk with plain strings: a path object costs as much as the system call behind it."""
    archives = []
    start = len(os.path.join(root, ""))
    for folder, subfolders, names in os.walk(root):
        subfolders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if open_archives and splitext(name)[1].lower() == ".zip" and len(folder) < start:
                archives.append(Path(path))
            else:
                yield _checked(_of_file(path, path[start:], root=root))
    for archive in archives:
        prefix = f"{archive.stem}/" if len(archives) > 1 else ""
        for member in _of_zip(archive):
            yield replace(member, name=prefix + member.name)


def _of_file(path: str, name: str, *, root: Path | None = None) -> Member:
    plain = plain_name(name.encode("utf-8", "replace").decode())
    problem = None
    size = 0
    try:
        found = os.lstat(path)
        if stat.S_ISLNK(found.st_mode):
            found = os.stat(path)
            if root is not None and not Path(path).resolve().is_relative_to(root):
                reason = "A link that leads out of the folder is not followed."
                problem = ("outside_archive", reason)
        size = found.st_size
        if problem is None and not stat.S_ISREG(found.st_mode):
            problem = ("unreadable", "This is not a plain file.")
    except OSError as error:
        problem = ("unreadable", f"The file cannot be read ({error.strerror}).")
    return Member(plain, size, partial(_read_file, path), problem)


def _read_file(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise MemberError("unreadable", f"The file cannot be read ({error.strerror}).") from error


def _of_zip(path: Path) -> Iterator[Member]:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        reason = f"{path.name} is not a zip archive that can be read ({error}). Pack it again."
        raise Hopeless(reason) from error
    for entry in archive.infolist():
        if not entry.filename.endswith("/"):  # `is_dir` fails where there is no name
            yield _checked(_of_entry(archive, entry))


def _of_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Member:
    name = _entry_name(entry)
    problem = None
    if is_outside(name):
        problem = ("outside_archive", "The path leads out of the archive; such files are refused.")
    elif entry.flag_bits & ENCRYPTED:
        problem = ("encrypted", "The file is encrypted; pack it again without a password.")
    elif stat.S_ISLNK(entry.external_attr >> 16):
        problem = ("link", "The archive holds a link here, not a file.")
    return Member(
        plain_name(name.replace("\x00", "")) or "(no name)",
        entry.file_size,
        lambda: _read_entry(archive, entry),
        problem,
    )


def _entry_name(entry: zipfile.ZipInfo) -> str:
    """Many tools write UTF-8 names without saying so; zipfile then reads them as cp437."""
    if entry.flag_bits & UTF8_NAME:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    try:
        return archive.read(entry)
    except NotImplementedError as error:
        reason = f"The archive packs this file in a way that is not read here ({error})."
        raise MemberError("unsupported_compression", reason) from error
    except DAMAGES as error:
        raise MemberError("unreadable", f"The archive is damaged here ({error}).") from error
