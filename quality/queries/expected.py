"""How many open flags are right: what a check expects, corrected by what people decided."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import Count, Q

from labeling.models import Dataset, WriteArea
from labeling.queries.kept import kept
from mlcore.expected_share import ShareRight, learn_shares
from mlcore.intervals import Interval
from quality.models import Action, Flag
from quality.queries.flags import Believed, Tally, settled_decisions

LIKELY_SHARE = 0.5  # expected right more often than not


@dataclass(frozen=True)
class Learned:
    """What the decisions about one kind of flag taught, and how many those are."""

    shares: ShareRight
    decided: int


Row = tuple[float, str, int, int]  # what was expected, of which class, how many, how many kept


def learned_shares(dataset: Dataset, kind: str) -> Learned:
    """Learn from every decision about one kind that stands: one query."""
    return _learned(_decided(dataset, [kind])[kind])


def is_backed(flag: Flag) -> bool:
    """Whether a flag about a group is expected right, as the head of its queue counts it.

    The mark of its check stands before any decision, so that both say the same.
    """
    learned = learned_shares(flag.dataset, flag.kind)
    if not learned.decided:
        return flag.is_likely
    share = learned.shares.expected(np.array([flag.expected]), [flag.given])[0]
    return bool(share >= LIKELY_SHARE)


def _decided(dataset: Dataset, kinds: Collection[str]) -> dict[str, list[Row]]:
    settled = settled_decisions(dataset).filter(flag__kind__in=kinds).order_by()
    rows = settled.values_list("flag__kind", "flag__expected", "flag__given").annotate(
        n=Count("pk"), kept=Count("pk", filter=Q(action=Action.KEEP))
    )
    found = defaultdict[str, list[Row]](list)
    for kind, expected, given, n, upheld in rows:
        found[kind].append((expected, given, n, upheld))
    return found


def _learned(rows: Sequence[Row]) -> Learned:
    n = np.array([row[2] for row in rows], dtype=float)
    kept = np.array([row[3] for row in rows], dtype=float)
    believed = np.array([row[0] for row in rows], dtype=float)
    shares = learn_shares(believed, [row[1] for row in rows], n - kept, kept)
    return Learned(shares, int(n.sum()))


def expected_right(
    dataset: Dataset, kinds: Collection[str], *, tally: Tally
) -> dict[str, Interval]:
    """Return how many of the open flags of each kind are right.

    Kept as a tally is: each decision that teaches anything closes or opens a flag.
    """
    one = next(iter(kinds)) if len(kinds) == 1 else ""
    asked = [one] if one else sorted({flag.kind for flag in tally.open})
    name, rests_on = f"expected-{one}", list(WriteArea)
    found = kept(dataset, name, of=rests_on, make=lambda: _expected(dataset, asked, tally))
    return {kind: found.get(kind, Interval(0.0, 0.0, 0.0)) for kind in kinds}


def _expected(dataset: Dataset, kinds: Collection[str], tally: Tally) -> dict[str, Interval]:
    believed = defaultdict[str, list[tuple[Believed, int]]](list)
    for flag, n in tally.open.items():
        believed[flag.kind].append((flag, n))
    decided = _decided(dataset, kinds)
    return {kind: _total(_learned(decided[kind]).shares, believed[kind]) for kind in kinds}


def _total(shares: ShareRight, rows: Sequence[tuple[Believed, int]]) -> Interval:
    return shares.total(
        np.array([flag.expected for flag, _n in rows], dtype=float),
        [flag.given for flag, _n in rows],
        np.array([n for _flag, n in rows], dtype=float),
    )
