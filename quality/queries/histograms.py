"""How a measurement is spread over the items of a filter, in bins that narrow it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from labeling.models import Item
from quality.queries.facts import FACTS, Fact, fact_value
from quality.queries.filters import Shown, one_of
from quality.queries.id_lists import ids_of_rows

BINS = 16  # bars of 12 px in the 208 px beside the items
# Items read for one histogram, 6 us each (bench/pages.py); a bar of a tenth is then within .008.
MOST_MEASURED = 5_000
OUTSIDE = 0.01  # share of items beyond each end of the axis; they count in the first or last bin


@dataclass(frozen=True)
class Histogram:
    """Bars with the queries that narrow to them; `sampled` says how many of how many were read."""

    fact: Fact
    rows: list[dict[str, Any]]
    most: int
    first: str
    last: str
    others: list[tuple[Fact, str, bool]]
    read: int = 0
    is_sample: bool = False


def histogram_of(shown: Shown) -> Histogram | None:
    """Draw the chosen fact, or the first of this kind of item, over all items of the filter."""
    facts = FACTS[shown.dataset.media]
    chosen = shown.filter
    fact = next((fact for fact in facts if fact.name == chosen.fact), facts[0])
    values, is_sample = _values(shown, fact)
    if not len(values):
        return None
    edges = _edges(values)
    counts = np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0]
    borders = [round(edge, 9) for edge in edges.tolist()]
    rows = [
        _row(
            shown,
            fact,
            count=count,
            low=borders[place] if place else None,
            high=borders[place + 1] if place + 2 < len(borders) else None,
            words=f"{borders[place]:g} – {borders[place + 1]:g} {fact.unit}".strip(),
        )
        for place, count in enumerate(counts.tolist())
    ]
    plain = chosen.without("fact", "low", "high")
    others = [(other, replace(plain, fact=other.name).query(), other == fact) for other in facts]
    return Histogram(
        fact,
        rows,
        most=max(row["value"] for row in rows),
        first=_short(edges[0], fact.unit),
        last=_short(edges[-1], fact.unit),
        others=others,
        read=len(values),
        is_sample=is_sample,
    )


def _values(shown: Shown, fact: Fact) -> tuple[np.ndarray, bool]:
    """Read the fact of at most MOST_MEASURED items, evenly spread when there are more."""
    whole = replace(shown, filter=shown.filter.without("fact", "low", "high", "random"))
    ids = ids_of_rows(whole.items())
    is_sample = len(ids) > MOST_MEASURED
    if is_sample:
        ids = ids[np.linspace(0, len(ids) - 1, MOST_MEASURED).astype(np.int64)]
    rows = Item.objects.filter(one_of("pk", ids.tolist())).order_by()
    read = rows.annotate(value=fact_value(fact.name)).values_list("value", flat=True)
    values = np.array([value for value in read if value is not None], np.float64)
    return values[np.isfinite(values)], is_sample


def _edges(values: np.ndarray) -> np.ndarray:
    """Return borders of bins at round numbers that hold all but the outermost values."""
    low, high = np.quantile(values, [OUTSIDE, 1 - OUTSIDE])
    step = _round_step((high - low) / BINS)
    first, last = np.floor(low / step), np.floor(high / step) + 1
    return np.arange(first, last + 1) * step


def _round_step(least: float) -> float:
    """Return the next of 1, 2, 2.5, 5, 10 times a power of ten."""
    if least <= 0:
        return 1.0
    power = 10.0 ** np.floor(np.log10(least))
    return float(next(times * power for times in (1, 2, 2.5, 5, 10) if times * power >= least))


def _row(
    shown: Shown, fact: Fact, *, count: int, low: float | None, high: float | None, words: str
) -> dict[str, Any]:
    chosen = shown.filter
    narrowed = replace(chosen, fact=fact.name, low=low, high=high, random=None)
    is_on = chosen.fact == fact.name and (chosen.low, chosen.high) != (None, None)
    above = chosen.low is None or (low is not None and low >= chosen.low)
    below = chosen.high is None or (high is not None and high <= chosen.high)
    return {
        "value": count,
        "label": words,
        "url": f"?{narrowed.query()}",
        "current": is_on and above and below,
    }


def _short(value: float, unit: str) -> str:
    return f"{value:.3g} {unit}".strip()
