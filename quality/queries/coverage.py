"""Declared target shares beside what is there: which values are short, and by how many items."""

from dataclasses import dataclass
from itertools import groupby

from django.db.models import Count

from labeling.models import Dataset
from labeling.target_shares import ROUNDING, TargetShare, read_target_shares
from mlcore.coverage import missing_counts
from mlcore.intervals import share_interval
from quality.queries.filters import Filter, with_column


@dataclass(frozen=True)
class Coverage:
    """One declared share: what is there, how many items are missing, the query that shows them."""

    target: TargetShare
    n: int
    total: int
    missing: int
    query: str

    @property
    def share(self) -> float:
        return self.n / self.total if self.total else 0.0

    @property
    def is_gap(self) -> bool:
        """Whether it is short by more than chance in drawing so many items explains."""
        if not self.missing:
            return False
        return share_interval(self.n, self.total).high < self.target.share


def coverage_of(dataset: Dataset) -> list[Coverage]:
    """Return every declared share beside what is there, gaps first within each column."""
    declared = read_target_shares(dataset.task_card.get("shares", ""))
    total = dataset.items.filter(excluded="").count() if declared else 0
    found: list[Coverage] = []
    columns = sorted(declared, key=lambda target: target.column)
    for column, of_column in groupby(columns, key=lambda target: target.column):
        found += _of_column(dataset, column, list(of_column), total=total)
    return found


def _of_column(
    dataset: Dataset, column: str, targets: list[TargetShare], *, total: int
) -> list[Coverage]:
    rows = with_column(dataset.items.filter(excluded=""), column)
    counts = dict(rows.values_list("told").annotate(n=Count("pk")).order_by())
    have = [counts.get(target.value, 0) for target in targets]
    missing = missing_counts(have, _shares(targets), total=total)
    lines = [
        Coverage(target, n, total, int(lack), _query(target))
        for target, n, lack in zip(targets, have, missing, strict=True)
    ]
    return sorted(lines, key=lambda line: (not line.is_gap, -line.missing, line.target.value))


def _shares(targets: list[TargetShare]) -> list[float]:
    """Return the shares, made a whole exactly where they are one but for rounding."""
    shares = [target.share for target in targets]
    return [share / sum(shares) for share in shares] if sum(shares) > 1 - ROUNDING else shares


def _query(target: TargetShare) -> str:
    return Filter(meta=(f"{target.column}={target.value}",)).query()
