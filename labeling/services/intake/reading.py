"""What an upload asks for: one candidate a file or line, in an order that never changes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from labeling.models import Media
from labeling.services.intake import tables
from labeling.services.intake.members import (
    Listing,
    Member,
    MemberError,
    Problem,
    is_table,
    list_members,
)
from labeling.services.intake.placing import (
    NO_SPLIT_WORDS,
    UNLABELLED,
    place,
    plain_name,
    split_named,
    top_folder,
)
from labeling.services.intake.tables import Row, Table, read_table
from labeling.services.jobs import Refused

MOST_KEY_CHARACTERS = 400  # of Item.key and UploadEntry.name
MOST_CLASS_CHARACTERS = 100  # of LabelClass.name


@dataclass(frozen=True)
class Candidate:
    """One thing that may become an item, or a line that cannot and says why (`problem`)."""

    name: str
    key: str
    line: int = 0
    size: int = 0
    read: Callable[[], bytes] | None = None
    text: str | None = None
    label: str | None = None
    split: str = ""
    group: str = ""
    captured_at: datetime | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[Problem, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True)
class Reading:
    """All candidates of an upload, the table that names them, what was left out."""

    candidates: list[Candidate]
    manifest: str
    top: str
    ignored: int
    columns: list[str] = field(default_factory=list)

    @property
    def classes(self) -> list[str]:
        """The classes that labels name, digits in the order of numbers."""
        named = {c.label for c in self.candidates if c.label and not c.problem}
        return sorted(named, key=_natural)

    @property
    def says_splits(self) -> bool:
        return any(c.split for c in self.candidates)

    @property
    def bytes(self) -> int:
        return sum(c.size for c in self.candidates if not c.problem)


@dataclass(frozen=True)
class Asked:
    """How an upload is to be read; `top` is decided once and kept for later attempts."""

    path: Path
    media: str
    labels: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    split_from: str = ""
    open_archives: bool = False
    known_classes: tuple[str, ...] = ()
    top: str | None = None


def read_upload(asked: Asked) -> Reading:
    """List everything that an upload brings; no image, sound or text file is opened yet."""
    listing = list_members(asked.path, open_archives=asked.open_archives)
    top = asked.top
    if top is None:
        whole = [member.name for member in listing.members if not member.problem]
        top = top_folder(whole, classes=asked.known_classes) if len(whole) > 1 else ""
    if asked.media == Media.TEXT and any(is_table(m.name) for m in listing.members):
        columns: dict[str, None] = {}
        candidates, manifest = list(_of_text_tables(asked, listing, columns)), ""
    else:
        table, unused = _manifest(asked, listing, top)
        if asked.split_from == "column" and (table is None or not table.has("split")):
            raise Refused("Splits are to come from a column, but no table has a split column.")
        manifest = table.name if table else ""
        columns = dict.fromkeys(table.columns if table else [])
        if table and top and any(_key(table, row).startswith(top) for row in table.rows):
            top = ""  # the table counts the folder among the names
        found = _of_files(asked, listing, table, top)
        candidates = [_without_table(c, unused) for c in found]
    if not any(c.problem is None for c in candidates) and not candidates:
        raise Refused(f"There is nothing to import in {asked.path.name}.")
    return Reading(list(_distinct(candidates)), manifest, top, listing.ignored, list(columns))


def _natural(name: str) -> tuple[int, int, str, str]:
    number = int(name) if name.isascii() and name.isdigit() else None
    return (number is None, number or 0, name.casefold(), name)


def _distinct(candidates: Iterable[Candidate]) -> Iterator[Candidate]:
    """Make (name, line) unique, by which attempts know what is done already; refuse long keys."""
    seen: dict[tuple[str, int], int] = {}
    for candidate in candidates:
        if len(candidate.key) > MOST_KEY_CHARACTERS or len(candidate.name) > MOST_KEY_CHARACTERS:
            reason = f"The key has more than {MOST_KEY_CHARACTERS} characters."
            short = candidate.name[: MOST_KEY_CHARACTERS - 20]
            candidate = replace(candidate, name=short, key="", problem=("name_too_long", reason))
        place = (candidate.name, candidate.line)
        seen[place] = count = seen.get(place, 0) + 1
        yield _cut_label(
            candidate if count == 1 else replace(candidate, name=f"{candidate.name} #{count}")
        )


def _cut_label(candidate: Candidate) -> Candidate:
    """Keep of a class name what a class can be called."""
    label = candidate.label or ""
    if len(label) <= MOST_CLASS_CHARACTERS:
        return candidate
    words = f"The class name has {len(label)} characters; {MOST_CLASS_CHARACTERS} are kept."
    notes = (*candidate.notes, ("label_too_long", words))
    return replace(candidate, label=label[:MOST_CLASS_CHARACTERS].strip(), notes=notes)


# --- files, with or without a manifest ---------------------------------------------------------


def _without_table(candidate: Candidate, unused: Mapping[str, str]) -> Candidate:
    """Say of a table why it is not the one that names the files; it is no file to open either."""
    if candidate.line or candidate.problem or not is_table(candidate.name):
        return candidate
    reason = unused.get(candidate.name, "Tables are read only where the import begins.")
    return replace(candidate, problem=("table_not_used", reason))


def _manifest(asked: Asked, listing: Listing, top: str) -> tuple[Table | None, dict[str, str]]:
    """Return the table that names the files, and why each other one is not used.

    It is the one asked for, else the one that names most files.
    """
    if asked.labels is not None:
        try:
            content = asked.labels.read_bytes()
        except OSError as error:
            raise Refused(f"{asked.labels} cannot be read ({error.strerror}).") from error
        table = read_table(asked.labels.name, content, columns=asked.columns)
        if not (table.has("key") or table.has("file")):
            raise Refused(
                f"{table.name}: no column names the files. Say which one does "
                f"(key); there are: {', '.join(table.columns[:30])}."
            )
        return table, {}
    found, unused = [], {}
    for member in listing.members:
        inside = member.name.removeprefix(top)
        if member.problem is None and is_table(inside) and "/" not in inside:
            table = read_table(member.name, _bytes_of(member), columns=asked.columns)
            if table.has("key") or table.has("file"):
                found.append((len(_members_of_rows(table, listing, top)), table))
                unused[member.name] = "No line of this table names a file of the import."
            else:
                there = ", ".join(table.columns[:30])
                unused[member.name] = f"No column names the files (key, file, …): {there}."
    count, best = max(found, key=lambda pair: pair[0], default=(0, None))
    if asked.columns and best is None:
        raise Refused("Columns are named, but there is no table that they could be in.")
    if not best or not count:
        return None, unused
    for fits, table in found:
        if fits and table is not best:
            unused[table.name] = f"{best.name} names more files, so it is used."
    return best, unused


def _bytes_of(member: Member) -> bytes:
    """Return the bytes of a table; without them the import cannot begin."""
    try:
        return member.read()
    except MemberError as error:
        raise Refused(f"{member.name}: {error.problem[1]}") from error


def _members_of_rows(table: Table, listing: Listing, top: str) -> dict[int, Member]:
    """Return the file of each row (by its line): by path, else by a file name that is unique."""
    by_path: dict[str, Member] = {}
    by_name: dict[str, list[Member]] = {}
    for member in listing.members:
        if is_table(member.name) or (member.problem and member.problem[0] == "duplicate_member"):
            continue
        path = PurePosixPath(member.name)
        by_path.setdefault(member.name, member)
        by_path.setdefault(member.name.removeprefix(top), member)
        for name in {path.name, path.stem}:
            by_name.setdefault(name, []).append(member)
    found = {}
    for row in table.rows:
        for cell in filter(None, (table.cell(row, "file"), table.cell(row, "key"))):
            name = plain_name(cell)
            alike = by_name.get(PurePosixPath(name).name, []) if name not in by_path else []
            if name in by_path or len(alike) == 1:
                found[row.line] = by_path.get(name) or alike[0]
                break
    return found


def _of_files(asked: Asked, listing: Listing, table: Table | None, top: str) -> Iterator[Candidate]:
    rows: dict[str, Row] = {}
    if table is not None:
        rows = yield from _lines(table, _members_of_rows(table, listing, top))
    taken = {_key(table, row) for row in rows.values()} if table else set()
    labels = {_label_of(table, row) for row in table.rows} if table else set()
    for member in listing.members:
        if table is not None and member.name == table.name and asked.labels is None:
            continue
        key = member.name.removeprefix(top)
        base = Candidate(
            member.name, key, size=member.size, read=member.read, problem=member.problem
        )
        row = rows.get(member.name)
        if table is None or (row is None and is_table(member.name)):
            yield _placed(asked, base)
        elif row is None and key in taken:
            reason = f"{table.name} gives this key to another file."
            yield replace(base, problem=("duplicate_key", reason))
        elif row is None:
            reason = f"No line of {table.name} names this file."
            placed = _placed(asked, base)
            # A folder that the table knows as a class says one; any other may just be a folder.
            is_class = placed.label in labels or not table.has("label")
            label = placed.label if is_class else None
            yield replace(placed, label=label, notes=(("no_row", reason),))
        else:
            yield _with_row(asked, _placed(asked, base), table, row)


def _key(table: Table, row: Row) -> str:
    return plain_name(table.cell(row, "key") or table.cell(row, "file"))


def _lines(table: Table, members: Mapping[int, Member]) -> Any:
    """Yield the lines that cannot become items; return the rows by the name of their member."""
    for line, unread in table.problems:
        yield Candidate(table.name, "", line=line, problem=unread)
    rows: dict[str, Row] = {}
    first: dict[str, Row] = {}
    for row in table.rows:
        key = _key(table, row)
        member = members.get(row.line)
        earlier = first.setdefault(key, row)
        if not key:
            problem: Problem = ("bad_row", "This line names no file.")
        elif earlier is not row:
            problem = _twice(table, row, earlier)
        elif member is None:
            problem = ("no_file", f"There is no file {key} in the import.")
        elif member.name in rows:
            other = rows[member.name].line
            problem = ("duplicate_key", f"Line {other} names the same file; it counts.")
        else:
            rows[member.name] = row
            continue
        yield Candidate(key or table.name, key, line=row.line, problem=problem)
    return rows


def _twice(table: Table, row: Row, earlier: Row) -> Problem:
    said, says = table.cell(earlier, "label"), table.cell(row, "label")
    words = f": {said!r} there, {says!r} here" if said != says else ""
    return (
        "duplicate_key",
        f"Line {earlier.line} has the same key{words}. Line {earlier.line} counts.",
    )


def _placed(asked: Asked, base: Candidate) -> Candidate:
    """Read class and split from the folders."""
    where = place(base.key)
    split = where.split if asked.split_from in ("", "folder") else ""
    return replace(base, label=where.label, split=split)


def _with_row(asked: Asked, placed: Candidate, table: Table, row: Row) -> Candidate:
    """Let a line of the manifest say more than the folders do."""
    key = _key(table, row)
    split, notes = _split_of(asked, table, row)
    moment = tables.captured(table.cell(row, "captured_at"))
    metadata = table.metadata(row)
    if table.cell(row, "captured_at") and moment is None:
        metadata[table.roles["captured_at"]] = table.cell(row, "captured_at")
        notes += (("unknown_time", f"{table.cell(row, 'captured_at')!r} is no date or time."),)
    return replace(
        placed,
        key=key,
        label=_label_of(table, row) if table.has("label") else placed.label,
        split=split or placed.split,
        group=table.cell(row, "group")[: tables.MOST_GROUP_CHARACTERS],
        captured_at=moment,
        metadata=metadata,
        notes=tuple((code, f"{table.name}, line {row.line}: {words}") for code, words in notes),
    )


def _label_of(table: Table, row: Row) -> str | None:
    label = table.cell(row, "label")
    return None if not label or label.casefold() in UNLABELLED else label


def _split_of(asked: Asked, table: Table, row: Row) -> tuple[str, tuple[Problem, ...]]:
    cell = table.cell(row, "split")
    if asked.split_from not in ("", "column") or cell.casefold() in NO_SPLIT_WORDS:
        return "", ()
    split = split_named(cell)
    words = f"{cell!r} is none of train, validation and test."
    return split, () if split else (("unknown_split", words),)


# --- texts -------------------------------------------------------------------------------------


def _of_text_tables(
    asked: Asked, listing: Listing, columns: dict[str, None]
) -> Iterator[Candidate]:
    """One item a line; where lines have no key, the table's name and the row number are it."""
    members = [m for m in listing.members if is_table(m.name)]
    seen: dict[str, tuple[str, int]] = {}
    for member in members:
        stem = PurePosixPath(member.name.removesuffix(".gz")).stem
        table = _text_table(asked, member)
        columns.update(dict.fromkeys(table.columns))
        for line, problem in table.problems:
            yield Candidate(member.name, "", line=line, problem=problem)
        for row in table.rows:
            named = plain_name(table.cell(row, "key"))
            key = named or f"{stem}-{row.number:06d}"
            if named and len(members) > 1:  # each table may count from 1
                key = f"{stem}/{named}"
            base = Candidate(key, key, line=row.line, text=table.cell(row, "text"))
            base = replace(base, split=_stem_split(asked, stem))
            first = seen.setdefault(key, (member.name, row.line))
            if first != (member.name, row.line):
                reason = f"{first[0]}, line {first[1]} has the same key; that one counts."
                yield replace(base, problem=("duplicate_key", reason))
            else:
                yield replace(_with_row(asked, base, table, row), key=key)
    for member in listing.members:
        if not is_table(member.name):
            reason = "Beside tables of texts, single files are not read."
            problem = member.problem or ("not_media", reason)
            yield Candidate(member.name, member.name, size=member.size, problem=problem)


def _stem_split(asked: Asked, stem: str) -> str:
    return split_named(stem) if asked.split_from in ("", "folder") else ""


def _text_table(asked: Asked, member: Member) -> Table:
    if member.problem:
        raise Refused(f"{member.name}: {member.problem[1]}")
    content = _bytes_of(member)
    table = read_table(member.name, content, columns=asked.columns)
    if not table.has("text"):
        rest = [c for c in table.columns if c not in table.roles.values()]
        if len(rest) != 1:
            raise Refused(
                f"{member.name}: which column holds the texts? Name it (text); there are: "
                f"{', '.join(table.columns[:30])}."
            )
        table = read_table(
            member.name, _bytes_of(member), columns={**asked.columns, "text": rest[0]}
        )
    if asked.split_from == "column" and not table.has("split"):
        raise Refused(f"{member.name} has no split column.")
    return table
