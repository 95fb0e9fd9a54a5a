"""How many open flags are right: what a check expects, corrected by what people decided."""

from dataclasses import dataclass

import numpy as np
from django.db.models import Count, Q

from labeling.models import Dataset
from mlcore.expected_share import ShareRight, learn_shares
from mlcore.intervals import Interval
from quality.models import Action, Flag, FlagState
from quality.queries.flags import settled_decisions


@dataclass(frozen=True)
class Learned:
    """What the decisions about one kind of flag taught, and how many those are."""

    shares: ShareRight
    decided: int


def learned_shares(dataset: Dataset, kind: str) -> Learned:
    """Learn from every decision about one kind that stands: one query."""
    settled = settled_decisions(dataset).filter(flag__kind=kind)
    rows = list(
        settled.order_by()
        .values_list("flag__expected", "flag__given")
        .annotate(n=Count("pk"), kept=Count("pk", filter=Q(action=Action.KEEP)))
    )
    n = np.array([row[2] for row in rows], dtype=float)
    kept = np.array([row[3] for row in rows], dtype=float)
    believed = np.array([row[0] for row in rows], dtype=float)
    shares = learn_shares(believed, [row[1] for row in rows], n - kept, kept)
    return Learned(shares, int(n.sum()))


def expected_right(dataset: Dataset, kind: str, *, n_open: int) -> Interval:
    """Return how many of the open flags of one kind, which were counted, are right: two queries.

    What is expected of them is taken from all that are not closed: looking again for the few
    whose items have changed meanwhile would be a second pass over all items.
    """
    waiting = Flag.objects.filter(dataset=dataset, kind=kind, state=FlagState.OPEN).order_by()
    rows = list(waiting.values_list("expected", "given").annotate(n=Count("pk")))
    n = np.array([row[2] for row in rows], dtype=float)
    return learned_shares(dataset, kind).shares.total(
        np.array([row[0] for row in rows], dtype=float),
        [row[1] for row in rows],
        n * n_open / max(1.0, n.sum()),
    )
