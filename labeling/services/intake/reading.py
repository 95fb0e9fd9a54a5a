"""What an upload asks for: one candidate a file or line, in an order that never changes."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from labeling.models import Media
from labeling.services.intake import members, tables
from labeling.services.intake.manifest import (
    MOST_CLASS_CHARACTERS,
    Manifest,
    Names,
    Target,
    ask_columns,
    bytes_of,
    find_manifest,
    label_choices,
    told_by_contents,
)
from labeling.services.intake.members import Listing, Member, Problem, is_table, list_members
from labeling.services.intake.placing import (
    NO_SPLIT_WORDS,
    UNLABELLED,
    natural,
    place,
    plain_name,
    split_named,
    top_folder,
)
from labeling.services.intake.tables import Row, Table, guessed_of, read_table
from labeling.services.jobs import Hopeless, Refused

TABLE_INSIDE = (
    "Tables are read only where the import begins. Send this one alone to add what it says."
)
MOST_KEY_CHARACTERS = 400  # of Item.key and UploadEntry.name


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
    is_known: bool = False  # a line about an item that is there; it brings no bytes


@dataclass(frozen=True)
class Reading:
    """All candidates of an upload, the table that names them, what was left out."""

    candidates: list[Candidate]
    manifest: str
    top: str
    ignored: int
    columns: list[str] = field(default_factory=list)
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def classes(self) -> list[str]:
        """The classes that labels name, digits in the order of numbers."""
        named = {c.label for c in self.candidates if c.label and not c.problem}
        return sorted(named, key=natural)

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
    known_keys: Callable[[], Iterable[str]] = tuple
    without_table: bool = False
    top: str | None = None
    earlier: Mapping[str, str] = field(default_factory=dict)  # columns, where a table has them
    keeps_keys: bool = False  # the items are there already, under the names of their files


def read_upload(asked: Asked) -> Reading:
    """List everything that an upload brings; no image, sound or text file is opened yet."""
    listing = list_members(asked.path, open_archives=asked.open_archives)
    top = asked.top
    if top is None:
        whole = [member.name for member in listing.members if not member.problem]
        files = [n for n in whole if "/" in n or not is_table(n)]  # a table beside says nothing
        top = top_folder(files, classes=asked.known_classes) if len(files) > 1 else ""
    has_tables = any(is_table(member.name) for member in listing.members)
    if asked.media == Media.TEXT and has_tables:
        reading = _of_texts(asked, listing, top)
    else:
        reading = _of_members(asked, listing, top)
    if not reading.candidates:
        raise Hopeless(f"There is nothing to import in {members.sent_names(asked.path)}.")
    return replace(reading, candidates=list(_distinct(reading.candidates)))


def _of_members(asked: Asked, listing: Listing, top: str) -> Reading:
    """Read files, and lines of a table that names them or items that are there."""
    manifest = _manifest(asked, listing, top)
    table = manifest.table
    if asked.split_from == "column" and (table is None or not table.has("split")):
        raise Refused("Splits are to come from a column, but no table has a split column.")
    counts_top = table and top and any(_key(table, row).startswith(top) for row in table.rows)
    if counts_top and not asked.keeps_keys:
        top = ""  # the table counts the folder among the names
    found = [_without_table(c, manifest.unused) for c in _of_files(asked, listing, manifest, top)]
    says_labels = table is not None and table.has("label")
    wrapper = "" if says_labels else _only_folder(found, asked.known_classes)
    if wrapper:
        found = [replace(c, label=None) for c in found]
    elif not says_labels and not any(c.label for c in found):
        wrapper = top.rstrip("/")
    notes = {"one_folder": wrapper, "unused": manifest.samples, "by_content": manifest.by_content}
    notes["guessed"] = guessed_of([table] if table else [])
    if table is not None and not (says_labels and any(c.label for c in found)):
        notes["label_choices"] = label_choices(table)
    return Reading(
        found,
        table.name if table else "",
        top,
        listing.ignored,
        list(table.columns if table else []),
        {**notes, "roles": dict(table.roles if table else {})},
    )


def _only_folder(candidates: Iterable[Candidate], known: Iterable[str]) -> str:
    """Return the one folder that all files lie in; there is nothing that it could be told from."""
    labels = {c.label for c in candidates if not c.problem and not c.is_known}
    only = labels.pop() if len(labels) == 1 else None
    return "" if not only or only.casefold() in {k.casefold() for k in known} else only


def _manifest(asked: Asked, listing: Listing, top: str) -> Manifest:
    if asked.labels is None and not any(is_table(m.name) for m in listing.members):
        if asked.columns:
            raise Refused("Columns are named, but there is no table that they could be in.")
        return Manifest()
    return find_manifest(
        listing,
        Names(listing, top, asked.known_keys),
        top=top,
        labels=asked.labels,
        columns=asked.columns,
        may_ask=not asked.without_table,
        classes=asked.known_classes,
        earlier=asked.earlier,
    )


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
    reason = unused.get(candidate.name, TABLE_INSIDE)
    return replace(candidate, problem=("table_not_used", reason))


def _of_files(asked: Asked, listing: Listing, manifest: Manifest, top: str) -> Iterator[Candidate]:
    table = manifest.table
    rows: dict[str, Row] = {}
    if table is not None:
        rows = yield from _lines(asked, table, manifest.targets)
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
            named = _with_row(asked, _placed(asked, base), table, row)
            yield replace(named, key=key) if asked.keeps_keys else named


def _key(table: Table, row: Row) -> str:
    return plain_name(table.cell(row, "key") or table.cell(row, "file"))


def _lines(asked: Asked, table: Table, targets: Mapping[int, Target]) -> Any:
    """Yield the lines that bring no file; return the others by the name of their member."""
    for line, unread in table.problems:
        yield Candidate(table.name, "", line=line, problem=unread)
    rows: dict[str, Row] = {}
    first: dict[str, Row] = {}
    for row in table.rows:
        key = _key(table, row)
        member = targets.get(row.line)
        name = member if isinstance(member, str) else member.name if member else ""
        earlier = first.setdefault(key, row)
        if not key:
            problem: Problem = ("bad_row", "This line names no file.")
        elif earlier is not row:
            problem = _twice(table, row, earlier)
        elif member is None:
            problem = ("no_file", f"There is no file {key} in the import, and no such item.")
        elif name in rows:
            other = rows[name].line
            problem = ("duplicate_key", f"Line {other} names the same file; it counts.")
        elif isinstance(member, str):
            rows[name] = row
            yield _about_item(asked, table, row, name)
            continue
        else:
            rows[name] = row
            continue
        yield Candidate(key or table.name, key, line=row.line, problem=problem)
    return rows


def _about_item(asked: Asked, table: Table, row: Row, key: str) -> Candidate:
    base = Candidate(key, key, line=row.line, is_known=True)
    return replace(_with_row(asked, base, table, row), key=key)


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


def _of_texts(asked: Asked, listing: Listing, top: str) -> Reading:
    names = Names(replace(listing, members=[]), top, asked.known_keys)
    found = [_text_table(asked, m, names) for m in listing.members if is_table(m.name)]
    candidates = list(_of_text_tables(asked, listing, found, names))
    columns = list(dict.fromkeys(c for table in found for c in table.columns))
    longest = max(found, key=lambda table: len(table.rows))
    notes: dict[str, Any] = {"roles": dict(longest.roles), "guessed": guessed_of(found)}
    if not any(c.label for c in candidates):
        notes["label_choices"] = label_choices(longest)
    return Reading(candidates, "", top, listing.ignored, columns, notes)


def _of_text_tables(
    asked: Asked, listing: Listing, found: list[Table], names: Names
) -> Iterator[Candidate]:
    """One item a line; where lines have no key, the table's name and the row number are it."""
    members = [m for m in listing.members if is_table(m.name)]
    seen: dict[str, tuple[str, int]] = {}
    for member, table in zip(members, found):
        stem = PurePosixPath(member.name.removesuffix(".gz")).stem
        if not table.has("text"):  # labels and the like of items that are there
            yield from _lines(asked, table, names.of_rows(table))
            continue
        split = split_named(stem) if asked.split_from in ("", "folder") else ""
        for line, problem in table.problems:
            yield Candidate(member.name, "", line=line, problem=problem)
        for row in table.rows:
            named = plain_name(table.cell(row, "key"))
            key = named or f"{stem}-{row.number:06d}"
            if named and len(members) > 1:  # each table may count from 1
                key = f"{stem}/{named}"
            base = Candidate(key, key, line=row.line, text=table.cell(row, "text"), split=split)
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


def _text_table(asked: Asked, member: Member, names: Names) -> Table:
    """Read a table of texts; without a column of texts it may speak of items that are there."""
    if member.problem:
        raise Refused(f"{member.name}: {member.problem[1]}")
    content = bytes_of(member)
    table = read_table(member.name, content, columns=asked.columns)
    if not table.has("text") and not names.of_rows(table):
        rest = [c for c in table.columns if c not in table.roles.values()]
        if len(rest) != 1:
            raise ask_columns(table, "no column is known to hold the texts", role="text")
        table = read_table(member.name, content, columns={**asked.columns, "text": rest[0]})
    table = told_by_contents(table, asked.known_classes, earlier=asked.earlier)
    if asked.split_from == "column" and not table.has("split"):
        raise Refused(f"{member.name} has no split column.")
    return table
