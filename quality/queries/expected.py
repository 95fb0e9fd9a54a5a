"""How many open flags are right: what a check expects, corrected by what people decided."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from django.db.models import Count, Q

from labeling.models import Dataset
from mlcore.expected_share import ShareRight, learn_shares
from mlcore.intervals import Interval
from quality.models import Action, Flag, FlagState
from quality.queries.flags import settled_decisions

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
    for kind, expected, given, n, kept in rows:
        found[kind].append((expected, given, n, kept))
    return found


def _learned(rows: Sequence[Row]) -> Learned:
    n = np.array([row[2] for row in rows], dtype=float)
    kept = np.array([row[3] for row in rows], dtype=float)
    believed = np.array([row[0] for row in rows], dtype=float)
    shares = learn_shares(believed, [row[1] for row in rows], n - kept, kept)
    return Learned(shares, int(n.sum()))


def expected_right(dataset: Dataset, n_open: Mapping[str, int]) -> dict[str, Interval]:
    """Return how many of the open flags of each kind, which were counted, are right: two queries.

    What is expected of them is taken from all that are not closed: looking again for the few
    whose items have changed meanwhile would be a second pass over all items.
    """
    waiting = Flag.objects.filter(dataset=dataset, kind__in=list(n_open), state=FlagState.OPEN)
    rows = waiting.values_list("kind", "given", "is_likely", "expected").order_by()  # as indexed
    believed = defaultdict[str, list[tuple[float, str, int]]](list)
    for kind, given, _is_likely, expected, n in rows.annotate(n=Count("*")):
        believed[kind].append((expected, given, n))
    decided = _decided(dataset, list(n_open))
    return {
        kind: _total(_learned(decided[kind]).shares, believed[kind], n_open=n)
        for kind, n in n_open.items()
    }


def _total(shares: ShareRight, rows: Sequence[tuple[float, str, int]], *, n_open: int) -> Interval:
    n = np.array([row[2] for row in rows], dtype=float)
    return shares.total(
        np.array([row[0] for row in rows], dtype=float),
        [row[1] for row in rows],
        n * n_open / max(1.0, n.sum()),
    )
