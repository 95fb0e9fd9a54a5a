"""Declared target shares beside what is there: which values are short, and by how many items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import NormalDist

from django.db.models import Count
from django.utils.translation import gettext as _

from labeling.models import Dataset
from labeling.target_shares import ROUNDING, TargetShare, read_target_shares
from mlcore.coverage import missing_counts
from mlcore.intervals import Interval
from mlcore.shares import share_interval
from quality.queries.filters import Filter, with_column

LEVEL = 0.95  # with which all limits of the table hold together (Bonferroni)


@dataclass(frozen=True)
class Coverage:
    """One declared share: what is there, how many items are missing, the query that shows them."""

    target: TargetShare
    n: int
    there: Interval | None  # None where there is no item to count
    missing: int
    query: str

    @property
    def gap(self) -> float:
        """Share by which it is short; below 0 where there is more than declared."""
        return self.target.share - (self.there.value if self.there else 0.0)

    @property
    def is_gap(self) -> bool:
        """Whether it is short by more than chance in drawing so many items explains."""
        return bool(self.missing and self.there and self.there.high < self.target.share)


def coverage_of(dataset: Dataset) -> list[Coverage]:
    """Return declared shares beside what is there: classes, then columns; gaps first in each."""
    classes = _class_shares(dataset)
    declared = sorted(
        read_target_shares(dataset.task_card.get("shares", "")), key=lambda one: one.column
    )
    n_lines = len(classes) + len(declared)
    if not n_lines:
        return []
    z = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / n_lines)
    items = dataset.items.filter(excluded="")
    found: list[Coverage] = []
    if classes:
        counts = dict(items.values_list("label__name").annotate(n=Count("pk")).order_by())
        labelled = sum(n for name, n in counts.items() if name)
        found += _lines(classes, counts, total=labelled, z=z, is_class=True)
    total = items.count() if declared else 0
    for column, of_column in groupby(declared, key=lambda target: target.column):
        rows = with_column(items, column).values_list("told")
        counts = dict(rows.annotate(n=Count("pk")).order_by())
        found += _lines(list(of_column), counts, total=total, z=z)
    return found


def _class_shares(dataset: Dataset) -> list[TargetShare]:
    """Return the shares of the classes in production, as success was said to be measured."""
    shares = dataset.success.get("shares", {})
    names = dataset.classes.filter(pk__in=shares).values_list("pk", "name") if shares else []
    told = [TargetShare(_("class"), name, shares[str(pk)]) for pk, name in names]
    return [target for target in told if target.share > 0]


def _lines(
    targets: Sequence[TargetShare],
    counts: Mapping[str, int],
    *,
    total: int,
    z: float,
    is_class: bool = False,
) -> list[Coverage]:
    have = [counts.get(target.value, 0) for target in targets]
    if _is_whole(targets):
        total = sum(have)  # no addition makes up for items of other values: they are left aside
    missing = missing_counts(have, _shares(targets), total=total)
    lines = [
        Coverage(
            target,
            n,
            share_interval(n, total, z=z) if total else None,
            int(lack),
            _query(target, is_class=is_class),
        )
        for target, n, lack in zip(targets, have, missing, strict=True)
    ]
    return sorted(lines, key=lambda line: (not line.is_gap, -line.missing, line.target.value))


def _is_whole(targets: Sequence[TargetShare]) -> bool:
    """Tell whether the shares of a column add up to 100 %, but for rounding."""
    return sum(target.share for target in targets) > 1 - ROUNDING


def _shares(targets: Sequence[TargetShare]) -> list[float]:
    shares = [target.share for target in targets]
    return [share / sum(shares) for share in shares] if _is_whole(targets) else shares


def _query(target: TargetShare, *, is_class: bool) -> str:
    if is_class:
        return Filter(classes=(target.value,)).query()
    return Filter(meta=(f"{target.column}={target.value}",)).query()
