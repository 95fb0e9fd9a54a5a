"""The table that names the files of an upload: which one, by which column, or what to ask."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from labeling.services.intake.members import Listing, Member, MemberError, is_table
from labeling.services.intake.placing import plain_name, split_named
from labeling.services.intake.tables import Row, Table, guessed_of, read_table
from labeling.services.jobs import Refused

LINES_SHOWN = 5  # of a table whose columns are asked for
MOST_COLUMNS = 100  # shown where columns are chosen
MOST_CELL_SHOWN = 80  # characters
MOST_LABEL_CHOICES = 4
MOST_CLASS_CHARACTERS = 100  # of LabelClass.name
LEAST_ITEMS_A_CLASS = 2  # on average: a column of names or free texts has fewer a value

Target = Member | str
"""What a row names: a file of the upload, or the key of an item that is there."""


class ColumnsNeededError(Refused):
    """A table came along that nothing tells how to read; `question` is for the page."""

    def __init__(self, words: str, question: Mapping[str, Any]) -> None:
        super().__init__(words)
        self.question = dict(question)


T = TypeVar("T")


class ByName(Generic[T]):
    """Things by their path, and by file name or its stem where that is unique."""

    def __init__(self, paths: Iterable[tuple[str, T]]) -> None:
        self.by_path: dict[str, T] = {}
        self.by_name: dict[str, list[T]] = {}
        for path, thing in paths:
            self.by_path.setdefault(path, thing)
            for name in {PurePosixPath(path).name, PurePosixPath(path).stem}:
                self.by_name.setdefault(name, []).append(thing)

    def find(self, name: str) -> T | None:
        if name in self.by_path:
            return self.by_path[name]
        alike = self.by_name.get(PurePosixPath(name).name, [])
        return alike[0] if len(alike) == 1 else None


class Names:
    """What the rows of a table may name: files of the upload first, then items by their keys."""

    def __init__(self, listing: Listing, top: str, keys: Callable[[], Iterable[str]]) -> None:
        usable = [
            m
            for m in listing.members
            if not is_table(m.name) and not (m.problem and m.problem[0] == "duplicate_member")
        ]
        self.members = ByName((member.name, member) for member in usable)
        for member in usable:
            self.members.by_path.setdefault(member.name.removeprefix(top), member)
        self.items = ByName((key, key) for key in keys())

    def __bool__(self) -> bool:
        return bool(self.members.by_path or self.items.by_path)

    def of(self, cell: str) -> Target | None:
        """Return what a cell names. A file name that two files have names no item, either."""
        name = plain_name(cell)
        if not name:
            return None
        if PurePosixPath(name).name in self.members.by_name:
            return self.members.find(name) or self.items.by_path.get(name)
        return self.members.find(name) or self.items.find(name)

    def of_rows(self, table: Table) -> dict[int, Target]:
        """Return what each row (by its line) names by its file or its key."""
        found = {}
        for row in table.rows:
            targets = (self.of(table.cell(row, role)) for role in ("file", "key"))
            target = next((t for t in targets if t is not None), None)
            if target is not None:
                found[row.line] = target
        return found


@dataclass(frozen=True)
class Manifest:
    """The table that is used (or none), what its rows name, and why others are not used."""

    table: Table | None = None
    targets: Mapping[int, Target] = field(default_factory=dict)
    by_content: str = ""
    unused: Mapping[str, str] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)


def find_manifest(
    listing: Listing,
    names: Names,
    *,
    top: str = "",
    labels: Path | None = None,
    columns: Mapping[str, str],
    may_ask: bool = True,
    classes: Iterable[str] = (),
    earlier: Mapping[str, str],
) -> Manifest:
    """Return the table asked for, else the one that names most; ask when none names anything."""
    read, unused = _tables(listing, top, labels, columns)
    if columns and not read:
        raise Refused("Columns are named, but there is no table that they could be in.")
    fitted = [_fitted(name, content, columns, names) for name, content in read]
    fitted.sort(key=lambda one: -len(one.targets))
    if not fitted:
        return Manifest(unused=unused)
    best = fitted[0]
    assert best.table is not None
    if not best.targets and best.table.rows and may_ask:
        raise _question(best.table, names)
    for other in fitted[1:] if best.targets else fitted:
        assert other.table is not None
        unused[other.table.name] = _why_unused(other, best)
    samples = [sample(o.table, names) for o in fitted if o.table and o.table.name in unused]
    if not best.targets:
        return Manifest(unused=unused, samples=samples)
    table = told_by_contents(best.table, classes, earlier=earlier)
    return Manifest(table, best.targets, best.by_content, unused, samples)


def _tables(
    listing: Listing, top: str, labels: Path | None, columns: Mapping[str, str]
) -> tuple[list[tuple[str, bytes]], dict[str, str]]:
    """Return names and bytes of the tables that may name files; those without the columns not."""
    if labels is not None:
        try:
            return [(labels.name, labels.read_bytes())], {}
        except OSError as error:
            raise Refused(f"{labels} cannot be read ({error.strerror}).") from error
    inside = [
        m
        for m in listing.members
        if m.problem is None and is_table(m.name) and "/" not in m.name.removeprefix(top)
    ]
    read, refusals = [], {}
    for member in inside:
        content = bytes_of(member)
        try:
            if columns:  # chosen for one of the tables; others need not have them
                read_table(member.name, content, columns=columns)
        except Refused as refusal:
            refusals[member.name] = str(refusal)
        else:
            read.append((member.name, content))
    if inside and not read:
        raise Refused(next(iter(refusals.values())))
    return read, refusals


def bytes_of(member: Member) -> bytes:
    """Return the bytes of a table; without them the import cannot begin."""
    try:
        return member.read()
    except MemberError as error:
        raise Refused(f"{member.name}: {error.problem[1]}") from error


def _fitted(name: str, content: bytes, columns: Mapping[str, str], names: Names) -> Manifest:
    """Read a table; where no column is known to name files, the cells may tell which one does."""
    table = read_table(name, content, columns=columns)
    targets = names.of_rows(table)
    if targets or {"key", "file"} & set(columns):
        return Manifest(table, targets)
    column = key_by_content(table, names)
    if not column:
        return Manifest(table)
    table = read_table(name, content, columns={**columns, "key": column})
    return Manifest(table, names.of_rows(table), column)


def key_by_content(table: Table, names: Names) -> str:
    """Return the column most of whose cells name files, each another one; empty when unclear."""
    counts = _named_by(table, names)
    ranked = sorted(counts, key=lambda column: -counts[column])
    if not ranked or counts[ranked[0]] * 2 <= len(table.rows):
        return ""
    is_tie = len(ranked) > 1 and counts[ranked[0]] == counts[ranked[1]]
    return "" if is_tie else ranked[0]


def _named_by(table: Table, names: Names) -> dict[str, int]:
    """Return how many different files each column names."""
    found: dict[str, set[str]] = {column: set() for column in table.columns}
    for row in table.rows:
        for column, cell in row.cells.items():
            target = names.of(cell)
            if target is not None and column in found:
                found[column].add(target if isinstance(target, str) else target.name)
    return {column: len(targets) for column, targets in found.items()}


def told_by_contents(table: Table, classes: Iterable[str], *, earlier: Mapping[str, str]) -> Table:
    """Give columns the role that a person gave them earlier, or that their cells tell.

    The role of split or label, if no name tells it, has the one column of which every cell names
    a split, of two or more; or most cells name classes of the dataset.
    """
    known = {name.casefold() for name in classes}
    naming = {table.roles.get(role) for role in ("key", "file", "text")}
    given = {r: c for r, c in earlier.items() if c in table.columns and c not in naming}
    roles = {r: c for r, c in table.roles.items() if c not in given.values()} | given
    for role in ("split", "label"):
        free = [c for c in table.columns if c not in roles.values()] if role not in roles else []
        cells = {c: [cell for row in table.rows if (cell := row.cells.get(c))] for c in free}
        tells = _tells_splits if role == "split" else lambda found: _tells_classes(found, known)
        told = [column for column, found in cells.items() if tells(found)]
        if len(told) == 1:
            roles[role] = told[0]
    return replace(table, roles=roles)


def _tells_splits(cells: Sequence[str]) -> bool:
    named = {split_named(cell) for cell in set(cells)}
    return len(named) > 1 and "" not in named


def _tells_classes(cells: Sequence[str], known: Collection[str]) -> bool:
    n = Counter(cell.casefold() for cell in cells)
    return 2 * sum(n[name] for name in known) > len(cells) and len(n.keys() & known) > 1


def label_choices(table: Table) -> list[str]:
    """Return the columns without a role that may be the label, those with fewest values first."""
    sizes = {}
    for column in set(table.columns) - set(table.roles.values()):
        cells = [cell for row in table.rows if (cell := row.cells.get(column))]
        values = set(cells)
        fits = max(map(len, values), default=0) <= MOST_CLASS_CHARACTERS
        if fits and 1 < len(values) <= len(cells) / LEAST_ITEMS_A_CLASS:
            sizes[column] = len(values)
    return sorted(sizes, key=lambda c: (sizes[c], table.columns.index(c)))[:MOST_LABEL_CHOICES]


def text_choice(table: Table) -> str:
    """Return the column without a role that holds most characters, where most cells differ."""
    sizes = {}
    for column in set(table.columns) - set(table.roles.values()):
        cells = [cell for row in table.rows if (cell := row.cells.get(column))]
        if len(set(cells)) * 2 > len(cells):
            sizes[column] = sum(map(len, cells))
    return max(sizes, key=lambda c: (sizes[c], -table.columns.index(c)), default="")


def sample(table: Table, names: Names | None = None, *, role: str = "key") -> dict[str, Any]:
    """Return what a person needs to say what the columns are: first lines, and a guess."""
    columns = list(table.columns)[:MOST_COLUMNS]
    guess = {role: column for role, column in table.roles.items() if role != "file"}
    counts = _named_by(table, names) if names else {}
    best = max(counts, key=lambda column: counts[column], default="")
    if best and counts[best] * 2 > len(table.rows):
        guess["key"] = best
    if role == "text" and (text := text_choice(table)):
        guess["text"] = text
    choices = [c for c in label_choices(table) if c not in (guess.get("key"), guess.get("text"))]
    if "label" not in guess and choices:
        guess["label"] = choices[0]
    return {
        "table": table.name,
        "columns": columns,
        "rows": [[_shown(row, c) for c in columns] for row in table.rows[:LINES_SHOWN]],
        "guess": guess,
        "guessed": guessed_of([table]),
    }


def _shown(row: Row, column: str) -> str:
    return row.cells.get(column, "")[:MOST_CELL_SHOWN]


def _question(table: Table, names: Names) -> Refused:
    if not names:
        return Refused(
            f"{table.name} is all there is, and this dataset has no items that its lines could "
            "name. Send the files together with it."
        )
    asked = table.roles.get("key") or table.roles.get("file")
    reason = f"no line of column {asked!r} names a file" if asked else "no column names the files"
    return ask_columns(table, reason, role="key", names=names)


def ask_columns(
    table: Table, reason: str, *, role: str, names: Names | None = None
) -> ColumnsNeededError:
    """Return the question which columns are meant, in words for a terminal too."""
    shown = sample(table, names, role=role)
    line = ", ".join(f"{c}={cell}" for c, cell in zip(shown["columns"], shown["rows"][0] or [""]))
    without = role == "key" and bool(names and names.members.by_path)
    words = (
        f"{table.name}: {reason}, so nothing was imported yet. Which column is it? There are: "
        f"{', '.join(shown['columns'][:30])}. The first line: {line[:300]}. "
        f"Name it (--column {role}=NAME, and label, split, group (the source) likewise)"
        f"{', or import the files alone (--without-table)' if without else ''}."
    )
    return ColumnsNeededError(
        words, {**shown, "reason": reason, "role": role, "may_leave_out": without}
    )


def _why_unused(other: Manifest, best: Manifest) -> str:
    assert other.table is not None
    if other.targets and best.table is not None:
        used = f"{best.table.name} names more files, so it is used."
        return f"{used} Send this table alone to add what it says."
    if other.table.has("key") or other.table.has("file"):
        return "No line of this table names a file of the import."
    there = ", ".join(other.table.columns[:30])
    return f"No column names the files (key, file, …): {there}."
