"""Tables of an import: a manifest of labels, or the texts themselves (CSV, TSV, JSONL)."""

import csv
import gzip
import io
import json
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from labeling.services.intake.encodings import IS_WORKBOOK, UnreadableError, decoded, is_workbook
from labeling.services.intake.members import Problem
from labeling.services.jobs import Refused

# What a column is for, and the names by which it is found; earlier names win.
COLUMN_NAMES = {
    "key": "key file file_name filename filepath file_path path image image_path img audio clip "
    "item id",
    "file": "file file_name filename filepath file_path path image image_path img audio clip",
    "label": "label class class_name category label_name class_label target intent word y "
    "klasse kategorie etikett clase categoria etiqueta classe categorie etiquette etichetta klass "
    "kategori klasa kategoria",
    "split": "split subset fold_name partition",
    "group": "group source_group source speaker speaker_id sender sender_id patient patient_id "
    "subject subject_id user user_id participant participant_id author author_id writer writer_id "
    "donor donor_id person_id client_id who recording recording_id session",
    "captured_at": "captured_at captured date datetime timestamp time taken_at recorded_at",
    "text": "text sentence utterance query question content review comment document message "
    "title body",
}
ROLES = tuple(COLUMN_NAMES)
DELIMITERS = ",;\t|"
MOST_CELL_CHARACTERS = 1_000_000
MOST_UNPACKED_BYTES = 2 * 2**30
MOST_GROUP_CHARACTERS = 150
# Nested beyond reading, or a number of thousands of digits, is no JSON for us either.
NO_JSON = (ValueError, RecursionError)
# Tables that an export wrote, by their columns: they come back without what is not of the item.
EXPORTED = (
    frozenset({"key", "label", "split", "label_source", "sha256", "metadata"}),
    frozenset({"key", "label", "source", "split"}),
    frozenset({"key", "label", "source", "confidence", "by", "at", "reason"}),
)
READ_AS_WINDOWS = (
    "is not UTF-8; it was read as Windows-1252. If letters look wrong, save it as UTF-8 and import "
    "it again."
)
GUARDED = re.compile(r"''*[=+\-@\t\r]")  # as labeling.export.cell_of writes it
NOT_OF_THE_ITEM = frozenset(
    {"label_source", "sha256", "metadata", "source", "confidence", "by", "at", "reason"}
)


@dataclass(frozen=True)
class Row:
    """One line of a table; cells are stripped text, by column."""

    line: int
    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """Rows in their order, the lines that could not be read, and what each column is for."""

    name: str
    columns: Sequence[str]
    rows: list[Row]
    problems: list[tuple[int, Problem]]
    roles: Mapping[str, str] = field(default_factory=dict)
    is_guessed: bool = False  # its bytes are no UTF-8, so they were read as Windows-1252

    def has(self, role: str) -> bool:
        return role in self.roles

    def cell(self, row: Row, role: str) -> str:
        return row.cells.get(self.roles[role], "") if role in self.roles else ""

    def metadata(self, row: Row) -> dict[str, str | None]:
        """Return the cells of the columns without a role; those with one are no metadata: None."""
        used = set(self.roles.values())
        rest = {name: cell for name, cell in row.cells.items() if name not in used and cell}
        return {**dict.fromkeys(used), **rest}


def read_table(name: str, content: bytes, *, columns: Mapping[str, str] | None = None) -> Table:
    """Read a table; `columns` names the column of a role where its own name does not tell."""
    text, is_guessed = _decoded(name, _unpacked(name, content))
    suffix = name.lower().removesuffix(".gz").rsplit(".", 1)[-1]
    first = text.lstrip()[:1]
    table = _of_lines(name, text) if suffix in ("jsonl", "ndjson") or first == "{" else None
    table = table or _of_cells(name, text, delimiter="\t" if suffix == "tsv" else "")
    if not table.columns:
        raise Refused(f"{name} is empty.")
    if any(columns_ <= set(table.columns) for columns_ in EXPORTED):
        table = _as_before_export(table)
    roles = _roles(name, table.columns, columns or {})
    return replace(table, roles=roles, is_guessed=is_guessed)


def guessed_of(found: Iterable[Table]) -> list[str]:
    """Return the names of the tables that were read as Windows-1252, for people to be told."""
    return [table.name for table in found if table.is_guessed]


def _as_before_export(table: Table) -> Table:
    """Return an exported table as it was said once: metadata as columns, no history."""
    rows = []
    for row in table.rows:
        own = {name: cell for name, cell in row.cells.items() if name not in NOT_OF_THE_ITEM}
        rows.append(replace(row, cells={**_metadata_of(row.cells.get("metadata", "")), **own}))
    kept = [name for name in table.columns if name not in NOT_OF_THE_ITEM]
    columns = dict.fromkeys([*kept, *(name for row in rows for name in row.cells)])
    return replace(table, columns=list(columns), rows=rows)


def _metadata_of(cell: str) -> dict[str, str]:
    try:
        found = json.loads(cell or "{}")
    except NO_JSON:
        return {"metadata": cell}
    if not isinstance(found, dict):
        return {"metadata": cell}
    return {name: _as_cell(value) for name, value in found.items()}


def _roles(name: str, columns: Sequence[str], wanted: Mapping[str, str]) -> dict[str, str]:
    unknown = sorted(set(wanted) - set(ROLES))
    if unknown:
        raise Refused(f"{', '.join(unknown)}: a column can be for {', '.join(ROLES)}.")
    plain = {_plain(column): column for column in reversed(columns)}
    roles = {}
    for role, names in COLUMN_NAMES.items():
        if role in wanted:
            column = wanted[role] if wanted[role] in columns else plain.get(_plain(wanted[role]))
            if column is None:
                there = ", ".join(columns[:30])
                raise Refused(f"{name} has no column {wanted[role]!r}. It has: {there}.")
            roles[role] = column
            continue
        taken = set(wanted.values()) | (set(roles.values()) if role != "file" else set())
        found = [plain[n] for n in names.split() if n in plain and plain[n] not in taken]
        if found:
            roles[role] = found[0]
    return roles


def _plain(column: str) -> str:
    """Return a name as it is compared with others.

    >>> _plain(" Étiquette"), _plain("Class Name")
    ('etiquette', 'class_name')
    """
    letters = unicodedata.normalize("NFKD", column.strip().casefold())
    return "".join(c for c in letters if not unicodedata.combining(c)).replace(" ", "_")


def _unpacked(name: str, content: bytes) -> bytes:
    if not name.lower().endswith(".gz"):
        return content
    try:
        with gzip.open(io.BytesIO(content)) as file:
            unpacked = file.read(MOST_UNPACKED_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise Refused(f"{name} cannot be unpacked ({error}).") from error
    return unpacked


def _decoded(name: str, content: bytes) -> tuple[str, bool]:
    """Return the text, and whether it was read as what Excel writes in Europe."""
    if is_workbook(content):
        raise Refused(f"{name}: {IS_WORKBOOK}")
    try:
        return decoded(content)
    except UnreadableError as error:
        raise Refused(
            f"{name} is neither UTF-8 text nor Windows-1252: {error}. Save it as “CSV UTF-8” and "
            "import it again."
        ) from error


def _of_lines(name: str, text: str) -> Table:
    """Read JSON lines; values that are no text are kept as JSON, lists and objects too."""
    columns: dict[str, None] = {}
    rows: list[Row] = []
    problems: list[tuple[int, Problem]] = []
    for line, raw in enumerate(text.split("\n"), 1):
        if not raw.strip():
            continue
        try:
            record = json.loads(raw)
        except NO_JSON as error:
            problems.append((line, ("bad_row", f"This line is no JSON: {error}.")))
            continue
        if not isinstance(record, dict):
            problems.append((line, ("bad_row", "This line is no JSON object.")))
            continue
        cells = {_as_cell(name): _as_cell(value) for name, value in record.items()}
        columns.update(dict.fromkeys(cells))
        rows.append(Row(line, len(rows) + 1, cells))
    return Table(name, list(columns), rows, problems)


def _as_cell(value: object) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    # JSON can name what no database keeps: half a surrogate pair, and the character zero.
    whole = text.encode("utf-8", "replace").decode().replace("\x00", "")
    return unicodedata.normalize("NFC", whole).strip()


def _of_cells(name: str, text: str, *, delimiter: str) -> Table:
    csv.field_size_limit(MOST_CELL_CHARACTERS)
    header_line = text.split("\n", 1)[0]
    delimiter = delimiter or max(DELIMITERS, key=header_line.count)
    text = text.replace("\x00", "")
    columns: list[str] = []
    is_exported = False
    rows: list[Row] = []
    problems: list[tuple[int, Problem]] = []
    for line, cells in _numbered(name, text, delimiter=delimiter):
        if not columns:
            columns = _named_once(cells)
            is_exported = any(names <= set(columns) for names in EXPORTED)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(columns) and any(cell.strip() for cell in cells[len(columns) :]):
            reason = f"This line has {len(cells)} cells, the header has {len(columns)}."
            problems.append((line, ("bad_row", reason)))
            continue
        kept = map(_without_guard if is_exported else str, map(_as_cell, cells))
        rows.append(Row(line, len(rows) + 1, dict(zip(columns, kept))))
    return Table(name, columns, rows, problems)


def _named_once(cells: Sequence[str]) -> list[str]:
    """Return names for all columns; a name that stands there twice is counted.

    >>> _named_once(["key", "label", "", "label"])
    ['key', 'label', 'column 3', 'label (2)']
    """
    names: dict[str, None] = {}
    seen: Counter[str] = Counter()
    for place, cell in enumerate(cells, 1):
        name = wanted = cell.strip() or f"column {place}"
        seen[wanted] += 1
        while name in names:
            seen[wanted] = max(seen[wanted], 2)
            name = f"{wanted} ({seen[wanted]})"
            seen[wanted] += name in names
        names[name] = None
    return list(names)


def _without_guard(cell: str) -> str:
    """Take away the apostrophe that an export put before what a spreadsheet would run.

    >>> _without_guard("'=1+1"), _without_guard("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if GUARDED.match(cell) else cell


def _numbered(name: str, text: str, *, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield cells with the line on which they begin (a quoted cell may hold line ends)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    begins = last = 1
    try:
        for cells in reader:
            yield begins, cells
            begins, last = reader.line_num + 1, begins
    except csv.Error as error:
        raise Refused(f"{name} cannot be read in line {reader.line_num}: {error}.") from error
    if reader.line_num > last:
        _refuse_open_quote(name, text, line=last, delimiter=delimiter)


def _refuse_open_quote(name: str, text: str, *, line: int, delimiter: str) -> None:
    """Refuse a table whose last cell swallowed the lines below a quote that nothing closes."""
    rest = io.StringIO(text, newline="").readlines()[line - 1 :]
    try:
        for _ in csv.reader(rest, delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        if "unexpected end" not in str(error):
            return
        raise Refused(
            f"{name}: a quotation mark in line {line} is never closed, so everything below it "
            "would be one cell. Close it, or write it twice where it is meant as a letter."
        ) from error


def captured(cell: str) -> datetime | None:
    """Return the moment that a cell names; a time without zone is taken as UTC.

    >>> captured("2024-05-01 12:30").isoformat()
    '2024-05-01T12:30:00+00:00'
    """
    text = re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", cell.strip())
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment.astimezone(UTC)  # at the ends of time there is none, and no database keeps it
    except (ValueError, OverflowError):
        return None
    return moment
