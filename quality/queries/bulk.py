"""Reads for deciding many flags at once: the sample, how it was judged, and what is left."""

from collections import Counter
from dataclasses import dataclass

from django.db.models import Count, Exists, Min, OuterRef, QuerySet

from labeling.models import Dataset, Split
from mlcore.intervals import Interval
from mlcore.shares import share_interval
from quality.models import Action, Bulk, Decision, Flag, FlagItem, ProposalState
from quality.queries.flags import open_flags, settled_decisions

SAMPLE = 20  # flags judged one by one before one decision is made for the others
WORTHWHILE = 2 * SAMPLE  # flags that a line begins with, where there are as many: as many others
CHANGES_SHOWN = 6  # pairs of classes


@dataclass(frozen=True)
class Judged:
    """What people said of a sample."""

    waiting: int
    judged: int
    right: int
    kept: int

    @property
    def is_enough(self) -> bool:
        return not self.waiting and self.judged >= SAMPLE

    @property
    def other(self) -> int:
        """Right, but for another action than the one proposed for all."""
        return self.judged - self.right - self.kept

    @property
    def share(self) -> Interval | None:
        return share_interval(self.right, self.judged) if self.judged else None


def open_sample(dataset: Dataset, kind: str) -> Bulk | None:
    """Return the sample that is being judged in a queue."""
    return Bulk.objects.filter(dataset=dataset, kind=kind, action="").first()


def sample_of(dataset: Dataset, kind: str) -> list[int]:
    """Return the flags (ids) of the sample that is being judged."""
    sample = open_sample(dataset, kind)
    return list(sample.sample) if sample else []


def last_bulk(dataset: Dataset, kind: str) -> Bulk | None:
    """Return the newest decision for many in a queue, with when it was first carried out."""
    done = Bulk.objects.filter(dataset=dataset, kind=kind).exclude(action="")
    return done.annotate(decided_at=Min("decisions__at")).select_related("by").first()


def above(dataset: Dataset, kind: str, least_score: float) -> QuerySet[Flag]:
    """Return the open flags from a score on, but for those that a lead has to settle."""
    flags = open_flags(dataset, kind).filter(score__gte=least_score)
    return flags.exclude(proposals__state=ProposalState.DISAGREED)


def in_test(flags: QuerySet[Flag]) -> int:
    """Count the flags with a test item."""
    items = FlagItem.objects.filter(flag=OuterRef("pk"), item__split=Split.TEST)
    return flags.filter(Exists(items)).count()


def decided_by(flags: QuerySet[Flag], action: Action | str | None) -> QuerySet[Flag]:
    """Leave out what an action for all cannot decide: two classes are suggested, not one."""
    if action != Action.RELABEL:
        return flags
    return flags.exclude(evidence__has_key="apart")


def first_line(dataset: Dataset, kind: str) -> float:
    """Return the score to begin with: all likely flags, and so many that a sample is worth it."""
    likely = open_flags(dataset, kind).filter(is_likely=True).order_by("score")
    lowest = likely.values_list("score", flat=True).first()
    return min(1.0 if lowest is None else lowest, worthwhile_line(dataset, kind))


def worthwhile_line(dataset: Dataset, kind: str) -> float:
    """Return the score of the last flag that a sample is worth, or of the last that is open."""
    scores = above(dataset, kind, 0.0).order_by("-score").values_list("score", flat=True)
    return min(scores[:WORTHWHILE], default=0.0)


def is_over(sample: Bulk) -> bool:
    """Whether nothing of a sample is left to judge."""
    return not open_flags(sample.dataset, sample.kind).filter(pk__in=sample.sample).exists()


def relabelled(flags: QuerySet[Flag]) -> tuple[list[tuple[str, str, int]], int]:
    """Count what relabelling as suggested would change: the commonest pairs, and in all others."""
    rows = outside_test(flags).order_by().values_list("given", "suggested")
    pairs = list(rows.annotate(n=Count("pk")).order_by("-n", "given", "suggested"))
    return pairs[:CHANGES_SHOWN], sum(n for _, _, n in pairs[CHANGES_SHOWN:])


def copies_leaving(flags: QuerySet[Flag]) -> int:
    """Count the copies that merging as proposed would leave out."""
    rows = FlagItem.objects.filter(flag__in=outside_test(flags))
    return rows.exclude(role="keep").values("item").distinct().count()


def outside_test(flags: QuerySet[Flag]) -> QuerySet[Flag]:
    """Leave out what touches a test item: it stays open unless that is confirmed."""
    items = FlagItem.objects.filter(flag=OuterRef("pk"), item__split=Split.TEST)
    return flags.exclude(Exists(items))


def judged(sample: Bulk, *, proposed: Action | None) -> Judged:
    """Count what was said of a sample so far, beside the action proposed for all: two queries."""
    waiting = open_flags(sample.dataset, sample.kind).filter(pk__in=sample.sample).count()
    made = settled_decisions(sample.dataset).filter(flag__in=sample.sample).select_related("flag")
    said = Counter(_said(decision, proposed) for decision in made)
    return Judged(waiting, said.total(), said["right"], said["kept"])


def _said(decision: Decision, proposed: Action | None) -> str:
    """Whether a decision did what one for all would do."""
    flag = decision.flag
    assert flag
    if decision.action == Action.KEEP:
        return "kept"
    if decision.action != proposed:
        return "other"
    is_relabel = decision.action == Action.RELABEL
    labels = {state["label"] for state in decision.after}
    return "other" if is_relabel and labels != {flag.suggested} else "right"
