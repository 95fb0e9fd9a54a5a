"""Items in the order of a measurement, by keyset."""

from typing import Any

from django.db.models import Q, Value
from django.db.models.functions import Coalesce

from labeling.models import Item
from quality.queries.facts import fact_value
from quality.queries.filters import Shown

FAR = 1e300  # where items that were never measured stand: last, whatever the direction

Place = tuple[float, int]


def ids_beside(
    shown: Shown, place: Place | None, *, backwards: bool, count: int
) -> list[tuple[int, float]]:
    """Return the next items (id, value) after a place, nearest first; before it if backwards."""
    rows = _placed(shown)
    descending = shown.filter.sort.startswith("-") != backwards
    if place:
        way = "lt" if descending else "gt"
        value, pk = place
        rows = rows.filter(Q(**{f"place__{way}": value}) | Q(place=value, **{f"pk__{way}": pk}))
    order = ("-place", "-pk") if descending else ("place", "pk")
    return list(rows.order_by(*order).values_list("pk", "place")[:count])


def place_of(shown: Shown, item: Item) -> Place:
    """Return where an item stands in the order."""
    known = item.content.facts.get(shown.filter.sorts_by_fact)
    return (float(known) if known is not None else _far(shown), item.pk)


def _placed(shown: Shown) -> Any:
    value = fact_value(shown.filter.sorts_by_fact)
    return shown.items().annotate(place=Coalesce(value, Value(_far(shown))))


def _far(shown: Shown) -> float:
    return -FAR if shown.filter.sort.startswith("-") else FAR
