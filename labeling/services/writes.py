"""Rows that count writes, added up: the sums stay as they are."""

from django.db import transaction
from django.db.models import Count

from labeling.models import Write

LEAST_ROWS = 100  # to sum as many takes no time
ROWS_A_TRANSACTION = 500


def add_up_writes() -> int:
    """Put rows of one dataset and area together, a few at a time; returns how many went.

    Whoever removes a row counts it: two that do this at once do not count it twice.
    """
    groups = Write.objects.values_list("of", "area").annotate(rows=Count("pk")).order_by()
    gone = 0
    for of, area, _rows in groups.filter(rows__gt=LEAST_ROWS):
        while taken := _add_up(of, area):
            gone += taken - 1
    return gone


@transaction.atomic
def _add_up(of: int, area: str) -> int:
    rows = Write.objects.filter(of=of, area=area).order_by("pk").select_for_update()
    found = dict(rows.values_list("pk", "n")[:ROWS_A_TRANSACTION])
    if len(found) < 2:
        return 0
    Write.objects.filter(pk__in=list(found)).delete()
    Write.objects.create(of=of, area=area, n=sum(found.values()))
    return len(found)
