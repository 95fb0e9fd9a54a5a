"""Items in the order of a measurement, or newest first of those that a text or a range leaves.

Arrays say which item is next: with a list of all 60,000 in a range in its WHERE, the database
took longer than the rest of the page (bench/pages.py).
"""

import numpy as np
from django.db.models import QuerySet

from labeling.models import Item
from quality.queries.facts import measured
from quality.queries.filters import LISTED, SORTS, Shown, one_of

FAR = 1e300  # where items that were never measured stand: last, whatever the direction
FIRST_LOOK = 1_000  # items; each further look is at four times as many

Place = tuple[float, int]


def gives_order(shown: Shown) -> bool:
    """Tell whether this order is asked for."""
    return bool(shown.filter.sorts_by_fact) or (_is_by_age(shown) and shown.filter.lists)


def ids_beside(
    shown: Shown, place: Place | None, *, backwards: bool, count: int
) -> list[tuple[int, float]]:
    """Return the next items (id, value) after a place, nearest first; before it if backwards."""
    values, ids = _order(shown)
    first, last = _around(values, ids, place) if place else (len(ids), 0)
    is_falling = (_is_by_age(shown) or shown.filter.sort.startswith("-")) != backwards
    if is_falling:
        values, ids = values[:first][::-1], ids[:first][::-1]
    else:
        values, ids = values[last:], ids[last:]
    return _that_are_shown(shown, values, ids, count=count)


def place_of(shown: Shown, item: Item) -> Place:
    """Return where an item stands in the order."""
    if _is_by_age(shown):
        return float(item.pk), item.pk
    values, ids = _order(shown)
    there = values[ids == item.pk].tolist()
    return (there[0] if there else _far(shown), item.pk)


def _is_by_age(shown: Shown) -> bool:
    return shown.filter.sort == SORTS[0]


def _order(shown: Shown) -> tuple[np.ndarray, np.ndarray]:
    """Return values and items of the dataset that are listed, rising, whatever else is asked."""
    if _is_by_age(shown):
        return shown.listed.astype(np.float64), shown.listed
    known = measured(shown.dataset, shown.filter.sorts_by_fact)
    far = np.full(len(known.rest), _far(shown))
    if _far(shown) > 0:
        values, ids = np.append(known.values, far), np.append(known.ids, known.rest)
    else:
        values, ids = np.append(far, known.values), np.append(known.rest, known.ids)
    if not shown.filter.lists:
        return values, ids
    kept = np.isin(ids, shown.listed)
    return values[kept], ids[kept]


def _around(values: np.ndarray, ids: np.ndarray, place: Place) -> tuple[int, int]:
    """Return how many stand before a place, and how many before and at it."""
    value, pk = place
    first, last = np.searchsorted(values, value), np.searchsorted(values, value, side="right")
    same = ids[first:last]
    at, past = np.searchsorted(same, pk), np.searchsorted(same, pk, side="right")
    return int(first + at), int(first + past)


def _that_are_shown(
    shown: Shown, values: np.ndarray, ids: np.ndarray, *, count: int
) -> list[tuple[int, float]]:
    """Return the first that the filter shows, looking at ever more where it shows few."""
    found: list[tuple[int, float]] = []
    start, look = 0, FIRST_LOOK
    while start < len(ids) and len(found) < count:
        some = slice(start, start + look)
        beside = dict(zip(ids[some].tolist(), values[some].tolist(), strict=True))
        passing = shown.condition(without=LISTED, are_named=True)
        rows = Item.objects.filter(passing, one_of("pk", list(beside)))
        there = set(rows.values_list("pk", flat=True))
        found += [(pk, value) for pk, value in beside.items() if pk in there]
        start, look = start + look, 4 * look
    return found[:count]


def sifted(shown: Shown, rows: QuerySet[Item], *, count: int) -> list[int]:
    """Return the first of ordered rows that are listed, looking at ever more where few are."""
    ids = rows.values_list("pk", flat=True)
    found: list[int] = []
    start, look = 0, FIRST_LOOK
    while len(found) < count:
        some = np.array(ids[start : start + look], np.int64)
        found += some[np.isin(some, shown.listed)].tolist()
        if len(some) < look:
            break
        start, look = start + look, 4 * look
    return found[:count]


def _far(shown: Shown) -> float:
    return -FAR if shown.filter.sort.startswith("-") else FAR
