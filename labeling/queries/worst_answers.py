"""Answers behind a measure, worst first: what to look at when the figure is bad."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from labeling.models import Annotation, Answer, Dataset
from labeling.queries.gold import known_labels


@dataclass(frozen=True)
class _Row:
    pk: int
    item: int
    label: int | None
    seconds: float
    is_doubtful: bool


Badness = dict[int, float]  # of answers (by id); others are not listed


def worst_first(dataset: Dataset, rows: QuerySet[Annotation], measure: str) -> list[int]:
    """Return the answers (by id) that make a measure bad, the worst item or answer first."""
    found = rows.order_by("pk").values_list("pk", "item", "label", "seconds", "answer")
    read = [
        _Row(pk, item, label, seconds or 0.0, answer in (Answer.UNSURE, Answer.UNUSABLE))
        for pk, item, label, seconds, answer in found
    ]
    badness = MEASURES[measure][1](dataset, read)
    items = {row.pk: row.item for row in read}
    return sorted(badness, key=lambda pk: (-badness[pk], items[pk], pk))


def _disagreeing(dataset: Dataset, rows: Iterable[_Row]) -> Badness:
    """Answers about items that got different classes, by the share of pairs that differ."""
    by_item: dict[int, list[_Row]] = defaultdict(list)
    for row in rows:
        if row.label:
            by_item[row.item].append(row)
    bad: Badness = {}
    for said in by_item.values():
        same = sum(n * (n - 1) for n in Counter(row.label for row in said).values())
        pairs = len(said) * (len(said) - 1)
        if same < pairs:
            bad |= {row.pk: 1 - same / pairs for row in said}
    return bad


def _doubtful(dataset: Dataset, rows: Iterable[_Row]) -> Badness:
    return _by_item([row for row in rows if row.is_doubtful])


def _wrong(dataset: Dataset, rows: Iterable[_Row]) -> Badness:
    known = known_labels(dataset)
    return _by_item([row for row in rows if row.item in known and row.label != known[row.item]])


def _slow(dataset: Dataset, rows: Iterable[_Row]) -> Badness:
    return {row.pk: row.seconds for row in rows if row.seconds > 0}


def _by_item(rows: list[_Row]) -> Badness:
    often = Counter(row.item for row in rows)
    return {row.pk: float(often[row.item]) for row in rows}


Behind = Callable[[Dataset, Iterable[_Row]], Badness]
MEASURES: dict[str, tuple[str | Promise, Behind]] = {
    "alpha": (_("of items on which people disagree, the worst first"), _disagreeing),
    "doubtful": (_("unsure or unusable, the items with most first"), _doubtful),
    "gold": (_("wrong on check items, those that most fail first"), _wrong),
    "seconds": (_("the slowest first"), _slow),
}
