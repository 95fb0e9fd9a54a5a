"""Triggers that count what is written, as migrations make them.

SQLite drops a table's triggers when Django makes it anew to alter it: such a migration ends with
the same operation again, as tests/quality/test_kept.py demands.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.migrations import RunPython

from labeling.models.writes import WriteArea

MOST = 2**31 - 1  # of one write; a sum of four billion of them still fits
DRAWN = {
    "sqlite": f"1 + abs(random() % {MOST})",
    "postgresql": f"1 + floor(random() * {MOST})::bigint",
}
DIFFERS = {"sqlite": "IS NOT", "postgresql": "IS DISTINCT FROM"}
BODY = {
    "sqlite": "CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW{when} "
    "BEGIN {insert}; END",
    "postgresql": "CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN {insert}; RETURN NULL; END $$; "
    "CREATE TRIGGER {name} AFTER {event} ON {table} FOR EACH ROW{when} EXECUTE FUNCTION {name}()",
}
AWAY = {
    "sqlite": "DROP TRIGGER IF EXISTS {name}",
    "postgresql": "DROP FUNCTION IF EXISTS {name}() CASCADE",
}


@dataclass(frozen=True)
class Counted:
    """Columns of a table whose changes count; with `rows`, rows that come and go count, too.

    `dataset` is SQL that says whose a `{row}` is; 0 is everybody's.
    """

    table: str
    area: str
    columns: tuple[str, ...]
    rows: bool = False
    dataset: str = "{row}.dataset_id"

    @property
    def names(self) -> dict[str, str]:
        """Return the trigger of each event."""
        events = ("update", "insert", "delete") if self.rows else ("update",)
        return {event: f"{self.table}_{self.area}_{event}" for event in events}


COUNTED = (
    Counted(
        "labeling_item",
        WriteArea.PLACES.value,
        ("dataset_id", "split", "excluded", "source_group", "captured_at"),
        rows=True,
    ),
    Counted("labeling_item", WriteArea.LABELS.value, ("label_id",)),
    Counted("labeling_labelclass", WriteArea.LABELS.value, ("name",)),
)


def count_writes(counted: Sequence[Counted]) -> RunPython:
    """Return the operation of a migration that makes triggers, in place of those of before."""

    def make(_apps: Any, schema_editor: Any) -> None:
        for sql in made(counted, schema_editor.connection.vendor):
            schema_editor.execute(sql, params=None)

    def remove(_apps: Any, schema_editor: Any) -> None:
        for name in (name for one in counted for name in one.names.values()):
            schema_editor.execute(AWAY[schema_editor.connection.vendor].format(name=name), None)

    return RunPython(make, remove)


def made(counted: Sequence[Counted], vendor: str) -> Iterator[str]:
    """Yield the statements that make triggers."""
    for one in counted:
        for event, name in one.names.items():
            yield AWAY[vendor].format(name=name)
            yield _trigger(one, event, name=name, vendor=vendor)


def _trigger(one: Counted, event: str, *, name: str, vendor: str) -> str:
    row = "OLD" if event == "delete" else "NEW"
    changed = " OR ".join(f"OLD.{column} {DIFFERS[vendor]} NEW.{column}" for column in one.columns)
    is_update = event == "update"
    return BODY[vendor].format(
        name=name,
        table=one.table,
        event=f"UPDATE OF {', '.join(one.columns)}" if is_update else event.upper(),
        when=f" WHEN ({changed})" if is_update else "",
        insert='INSERT INTO labeling_write ("of", area, n) VALUES '
        f"({one.dataset.format(row=row)}, '{one.area}', {DRAWN[vendor]})",
    )
