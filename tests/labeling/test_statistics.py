"""SQLite is told how large tables look, once, and again when they have changed much."""

import pytest
from django.db import connection

from labeling.models import Notice
from labeling.services import jobs
from labeling.services.statistics import LEAST_ROWS, renew_statistics
from quality.models import Decision
from tests.factories import make_dataset

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
TABLE = Notice._meta.db_table


def schema() -> int:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA schema_version")
        return int(cursor.fetchone()[0])


def test_large_tables_are_looked_at_when_they_changed_much_and_small_ones_never() -> None:
    dataset = make_dataset()

    def notices(count: int, of: str) -> list[str]:
        Notice.objects.bulk_create(
            Notice(dataset=dataset, kind="done", about=f"{of}{n}", words=".") for n in range(count)
        )
        return renew_statistics()

    is_sqlite = connection.vendor == "sqlite"
    assert notices(LEAST_ROWS - 1, "a") == []
    before = schema() if is_sqlite else 0
    assert notices(1, "b") == [TABLE] * is_sqlite
    assert not is_sqlite or schema() > before  # which makes other connections read them
    assert notices(LEAST_ROWS // 2, "c") == []
    assert notices(LEAST_ROWS // 2, "d") == [TABLE] * is_sqlite


def test_a_job_that_wrote_much_leaves_statistics() -> None:
    dataset = make_dataset()
    job = jobs.open_job(kind="detect", dataset=dataset)

    def writes(_work: jobs.Work) -> dict[str, object]:
        Notice.objects.bulk_create(
            Notice(dataset=dataset, kind="done", about=str(n), words=".") for n in range(LEAST_ROWS)
        )
        return {}

    jobs.carry_out(job.pk, writes)
    assert renew_statistics() == []
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute("SELECT tbl FROM sqlite_stat1")
            assert (TABLE,) in cursor.fetchall()


def test_an_undo_is_looked_up_by_its_index_though_most_decisions_undo_nothing() -> None:
    dataset = make_dataset()
    kept = [
        Decision(dataset=dataset, action="keep", before=[], after=[]) for _n in range(LEAST_ROWS)
    ]
    Decision.objects.bulk_create(kept)
    renew_statistics()
    if connection.vendor == "sqlite":
        plan = Decision.objects.select_related("undone_by").order_by("-pk")[:50].explain()
        assert "SEARCH T2 USING INDEX" in plan
