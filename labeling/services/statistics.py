"""Tell SQLite how its tables look, so that it takes the index that leaves the fewest rows.

PostgreSQL looks by itself. `PRAGMA optimize` looks only at what its own connection asked for
(all tables since SQLite 3.46), and reads a bounded part of them: lists then cost twice as much
as with whole tables (docs/results.md).
"""

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

LEAST_ROWS = (
    1_000  # with statistics of smaller tables a claim costs twice as much (bench/claims.py)
)
GROWTH = 2.0  # a table that grew or shrank by this factor is looked at anew


def renew_statistics() -> list[str]:
    """Look at the large tables that are not as they were; returns their names."""
    if connection.vendor != "sqlite":
        return []
    known, rows = _known_rows(), _rows()
    renewed = [
        table
        for table, n in rows.items()
        if n >= LEAST_ROWS and not 1 / GROWTH < n / known.get(table, 1) < GROWTH
    ]
    for table in renewed:  # each by itself, so that nobody waits long to write
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {connection.ops.quote_name(table)}")
    if _correct_unique() or renewed:
        _make_others_reread()
    return renewed


def _rows() -> dict[str, int]:
    quoted = connection.ops.quote_name
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        cursor.execute(
            " UNION ALL ".join(
                f"SELECT '{table}', count(*) FROM {quoted(table)}" for table in tables
            )
        )
        return dict(cursor.fetchall())


def _known_rows() -> dict[str, int]:
    """Return the rows of each table when it was looked at; every statistic begins with them."""
    with connection.cursor() as cursor:
        if not _has_statistics(cursor):
            return {}
        cursor.execute("SELECT tbl, max(CAST(stat AS INTEGER)) FROM sqlite_stat1 GROUP BY tbl")
        return dict(cursor.fetchall())


def _has_statistics(cursor: CursorWrapper) -> bool:
    cursor.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat1'")
    return bool(cursor.fetchone())


def _correct_unique() -> bool:
    """Say of each unique index that it finds one row; tells whether one said otherwise.

    `ANALYZE` counts empty values as one value of many rows: what undoes a decision, which most
    leave empty, was looked for among all decisions, once for each row of a list.
    """
    with connection.cursor() as cursor:
        if not _has_statistics(cursor):
            return False
        cursor.execute(
            "SELECT known.stat, known.idx FROM sqlite_stat1 known JOIN pragma_index_list(known.tbl)"
            " one ON one.name = known.idx WHERE one.\"unique\" AND known.stat NOT LIKE '% 1'"
        )
        wrong = [(f"{stat.rsplit(' ', 1)[0]} 1", name) for stat, name in cursor.fetchall()]
        cursor.executemany("UPDATE sqlite_stat1 SET stat = %s WHERE idx = %s", wrong)
        cursor.execute("ANALYZE sqlite_master")  # has this connection read them
    return bool(wrong)


def _make_others_reread() -> None:
    """Change the schema for a moment: open connections read statistics with it alone."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("CREATE TABLE statistics_renewed (at)")
        cursor.execute("DROP TABLE statistics_renewed")
