"""Statements written by hand where somebody waits: what is asked for each item that is answered.

To build the same from a queryset costs ten times what either database takes to answer it
(bench/annotate_load.py). A renamed column must be renamed here too; the tests find it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, cached_property
from typing import Any
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import Model, QuerySet

MOST_ID = 2**63 - 1  # the largest number that either database keeps
Converter = Callable[..., Any]


class Statement:
    """A SELECT whose rows begin with whole rows of models: `{item}` names the columns of one.

    `Statement("SELECT {item} FROM labeling_item item WHERE id = %(pk)s", item=Item)` gives
    tuples of an Item, and of the plain values that are selected after it.
    """

    def __init__(self, words: str, **models: type[Model]) -> None:
        self._words, self._models = words, models

    @cached_property
    def words(self) -> str:
        columns = {
            alias: ", ".join(f"{alias}.{field.column}" for field in model._meta.concrete_fields)
            for alias, model in self._models.items()
        }
        return self._words.format(**columns)

    def rows(
        self, *, ids: Sequence[int] = (), lock: str = "", **names: Any
    ) -> list[tuple[Any, ...]]:
        """Return what is found. `ids` stand where the words have `<ids>`.

        `lock` is the alias of the table whose rows are locked, where they can be.
        """
        words = self.words.replace("<ids>", listed(ids)) if ids else self.words
        words += f" FOR UPDATE OF {lock}" if lock and can_lock() else ""
        return [self._made(row) for row in execute(words, names)]

    def first(self, **names: Any) -> tuple[Any, ...] | None:
        """Return the first row."""
        return next(iter(self.rows(**names)), None)

    def _made(self, row: Sequence[Any]) -> tuple[Any, ...]:
        made: list[Any] = []
        start = 0
        for model in self._models.values():
            names, converters = _fields_of(model, connection.vendor)
            values = list(row[start : start + len(names)])
            start += len(names)
            for place, field, convert in converters:
                values[place] = convert(values[place], field, connection)
            made.append(model.from_db(DEFAULT_DB_ALIAS, names, values))
        return (*made, *row[start:])


@cache
def _fields_of(model: type[Model], vendor: str) -> tuple[list[str], list[tuple[int, Any, Any]]]:
    """Return the names of a model's fields, and what makes Python's values of the database's."""
    fields = model._meta.concrete_fields
    columns = [field.cached_col for field in fields]
    converters: list[tuple[int, Any, Converter]] = [
        (place, column, convert)
        for place, column in enumerate(columns)
        for convert in (
            *connection.ops.get_db_converters(column),
            *column.get_db_converters(connection),
        )
    ]
    return [field.attname for field in fields], converters


def execute(words: str, names: dict[str, Any]) -> list[tuple[Any, ...]]:
    """Return the rows of a statement."""
    with connection.cursor() as cursor:
        cursor.execute(words, names)
        return cursor.fetchall()


def rows_of(values: "QuerySet[Any, Any]") -> list[tuple[Any, ...]]:
    """Return the rows of a `values_list` of numbers and texts, as the database tells them.

    As rows of Django's, thousands take half as long again.
    """
    words, values_asked = values.query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(words, values_asked)
        return cursor.fetchall()


def written(words: str, names: dict[str, Any]) -> int:
    """Return how many rows a statement wrote."""
    with connection.cursor() as cursor:
        cursor.execute(words, names)
        return int(cursor.rowcount)


def listed(ids: Sequence[int]) -> str:
    """Return ids as they stand in a statement; they are numbers, and nothing else."""
    return ", ".join(str(int(pk)) for pk in ids)


def can_lock() -> bool:
    """Tell whether rows can be locked; SQLite lets one writer in and needs no such lock."""
    return connection.features.has_select_for_update


def moment(at: datetime) -> Any:
    """Return a moment as the database compares it."""
    return connection.ops.adapt_datetimefield_value(at)


def identity(of: UUID | None) -> Any:
    """Return an id that a client made as the database compares it."""
    return of if of is None or connection.features.has_native_uuid_field else of.hex
