"""Save many new rows for a third of what `bulk_create` takes: an import makes four a file.

`bulk_create` asks every field of every row how it wants to be written; here each column is
asked once, and only moments and JSON are written otherwise than they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from operator import attrgetter
from typing import Any

from django.db import connection, models
from django.utils import timezone

ROWS_A_STATEMENT = 200


def insert_rows(rows: Sequence[models.Model], *, ignore_conflicts: bool = False) -> None:
    """Save rows of one model, none of them saved yet, and give them their ids.

    With `ignore_conflicts`, rows that are there already stay as they are; ids are not given.
    """
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        _insert(rows[start : start + ROWS_A_STATEMENT], ignore_conflicts=ignore_conflicts)


def _insert(rows: Sequence[models.Model], *, ignore_conflicts: bool) -> None:
    meta = type(rows[0])._meta
    fields = [f for f in meta.concrete_fields if not f.generated and f is not meta.auto_field]
    quoted = connection.ops.quote_name
    names = ", ".join(quoted(field.column or "") for field in fields)
    places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(rows))
    ends = (
        "ON CONFLICT DO NOTHING"
        if ignore_conflicts
        else f"RETURNING {quoted(meta.pk.column or '')}"
    )
    columns = zip(*map(attrgetter(*(field.attname for field in fields)), rows))
    written = [_written(field, column) for field, column in zip(fields, columns)]
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {quoted(meta.db_table)} ({names}) VALUES {places} {ends}",
            list(chain.from_iterable(zip(*written))),
        )
        if not ignore_conflicts:
            for row, (pk,) in zip(rows, cursor.fetchall()):
                row.pk = pk


def _written(field: models.Field[Any, Any], values: Iterable[Any]) -> Iterable[Any]:
    """Return a column's values as the database takes them."""
    if isinstance(field, models.DateTimeField):
        if field.auto_now_add:
            values = repeat(timezone.now())
        return map(connection.ops.adapt_datetimefield_value, values)
    if isinstance(field, models.JSONField):
        return (connection.ops.adapt_json_value(value, field.encoder) for value in values)
    return values
