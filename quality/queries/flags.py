"""Reads about flags and decisions: queues, counts, the rows of exports."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from statistics import median
from typing import Any, NamedTuple

from django.db.models import Case, Count, Exists, F, Min, OuterRef, Prefetch, Q, QuerySet, When

from labeling.models import Dataset, Job, JobState, Split, User, WriteArea
from labeling.queries.by_hand import execute
from labeling.queries.kept import kept
from mlcore.intervals import Interval
from mlcore.shares import share_interval
from quality.models import (
    UNFLAGGED,
    Action,
    Decision,
    Flag,
    FlagItem,
    FlagState,
    ProposalState,
)

FLAGS_A_READ = 500
PACE_OVER = 50  # last decisions of a person that their pace is taken from
LOOKED_BACK = 500  # last decisions among which those of most kinds are found
WORST = f"""
SELECT id FROM quality_flag
WHERE dataset_id = %(dataset)s AND kind = %(kind)s AND state = '{FlagState.OPEN!s}'
ORDER BY score DESC, id LIMIT %(n)s
"""
CHECKS_READ = 30  # newest jobs looked through for the last check of each kind
STATE_SHOWN = ("label", "label_source", "split", "excluded")
PART = "part"  # what a decision about a group changes
GROUP_ROLES = (PART, "example")  # of flags about a class, a column, a slice
DOUBTED = "label_error"  # the queue that items drawn at random are mixed into
#: Of an item of a flag: it is no longer as it was when it was doubted.
MOVED_ON = ~Q(role__in=GROUP_ROLES) & (
    ~Q(item__excluded="") | (~Q(flag__given="") & ~Q(item__label__name=F("flag__given")))
)
#: The same in SQL: the label's name is read where one is doubted, not of every item, and the
#: role where it decides (bench/pages.py).
MOVED_ON_IN_SQL = f"""((item.excluded <> ''
  OR (flag.given <> '' AND NOT EXISTS (SELECT 1 FROM labeling_labelclass label
    WHERE label.id = item.label_id AND label.name = flag.given)))
  AND part.role NOT IN {GROUP_ROLES})"""
MOVED_OR_IN_TEST = f"""
SELECT flag.id, {MOVED_ON_IN_SQL}, flag.kind, flag.given, flag.is_likely, flag.expected
FROM quality_flag flag
JOIN quality_flagitem part ON part.flag_id = flag.id
JOIN labeling_item item ON item.id = part.item_id
WHERE flag.dataset_id = %(dataset)s AND flag.state = '{FlagState.OPEN!s}'
  AND flag.kind <is> %(kind)s AND (item.split = '{Split.TEST!s}' OR {MOVED_ON_IN_SQL})
"""
CLOSED = (FlagState.DECIDED, FlagState.DISMISSED)


@dataclass(frozen=True)
class QueueCounts:
    """How many flags of a kind are open, how many of them are marked likely, how many done."""

    open: int = 0
    likely: int = 0
    decided: int = 0
    touches_test: int = 0

    @property
    def total(self) -> int:
        return self.open + self.decided


def open_flags(dataset: Dataset, kind: str = "") -> QuerySet[Flag]:
    """Open flags whose items are all as they were when doubted: included, with that label.

    A group outlives single items of it; what was settled of them meanwhile is left alone.
    """
    moved_on = FlagItem.objects.filter(MOVED_ON, flag=OuterRef("pk"))
    return _still_open(dataset, kind).exclude(Exists(moved_on))


def items_in_group(dataset: Dataset, flag: int) -> QuerySet[FlagItem, int]:
    """Return the items (by id) that a decision about a flag's group changes, whatever its state."""
    parts = FlagItem.objects.filter(flag=flag, flag__dataset=dataset, role=PART)
    return parts.values_list("item", flat=True)


def _still_open(dataset: Dataset, kind: str) -> QuerySet[Flag]:
    flags = Flag.objects.filter(dataset=dataset, state=FlagState.OPEN)
    return flags.filter(kind=kind) if kind else flags.exclude(kind=UNFLAGGED)


def review_queue(dataset: Dataset, kind: str, *, first: Collection[int] = ()) -> QuerySet[Flag]:
    """Open flags of one kind, most suspicious first; before them those of a sample (ids)."""
    waiting = open_flags(dataset, kind)
    if not first:
        return waiting.order_by("-score", "pk")
    is_later = Case(When(pk__in=list(first), then=0), default=1)
    return waiting.order_by(is_later, "-score", "pk")


class Believed(NamedTuple):
    """What a check said of a flag: the label that it doubts, its mark, the share expected right."""

    kind: str
    given: str
    is_likely: bool
    expected: float


@dataclass(frozen=True)
class Tally:
    """How many flags stand open by what their check said of them, and by kind in test.

    `moved` has each flag (by id) that is not counted, because an item of it moved on.
    """

    open: Counter[Believed]
    in_test: Counter[str]
    moved: Mapping[int, Believed]

    def most_doubted(self, kind: str) -> str:
        """Return the label that flags of a kind doubt most often; empty if none."""
        labels: Counter[str] = Counter()
        for flag, n in self.open.items():
            labels[flag.given] += n if flag.kind == kind and flag.given else 0
        return min(labels, key=lambda label: (-labels[label], label), default="")


def doubts_of(dataset: Dataset, kinds: Collection[str]) -> QuerySet[Flag]:
    """Open flags of several kinds, worst first."""
    return open_flags(dataset).filter(kind__in=kinds).order_by("-is_likely", "-score", "pk")


def tally_of(dataset: Dataset, kind: str = "") -> Tally:
    """Count `open_flags`; kept until flags, labels or what is included change."""
    return kept(dataset, f"flags-{kind}", of=list(WriteArea), make=lambda: counted(dataset, kind))


def counted(dataset: Dataset, kind: str = "") -> Tally:
    """Count `open_flags` in two queries: all of them, and those that moved on or are in test.

    To ask of each flag whether its items moved on takes three times as long.
    """
    flags = _still_open(dataset, kind).order_by()
    groups = flags.values_list("kind", "given", "is_likely", "expected").annotate(n=Count("*"))
    counts = Counter({Believed(*said): n for *said, n in groups})
    asked = {"dataset": dataset.pk, "kind": kind or UNFLAGGED}
    moved: dict[int, Believed] = {}
    in_test: dict[int, str] = {}
    told = execute(MOVED_OR_IN_TEST.replace("<is>", "=" if kind else "<>"), asked)
    for pk, is_moved, of, given, is_likely, expected in told:
        if is_moved and pk not in moved:
            moved[pk] = Believed(of, given, bool(is_likely), expected)
            counts[moved[pk]] -= 1
        elif not is_moved:
            in_test[pk] = of
    kinds = Counter(of for pk, of in in_test.items() if pk not in moved)
    return Tally(+counts, kinds, moved)


def worst_of(
    dataset: Dataset, kinds: Iterable[str], *, tally: Tally, count: int
) -> dict[str, list[Flag]]:
    """Return the worst flags of `review_queue` of each kind, of those that were counted.

    Which of them moved on was asked for the tally: to ask again costs more than all of this.
    """
    skipped = Counter(flag.kind for flag in tally.moved.values())
    worst: dict[str, list[int]] = {}
    for kind in kinds:
        asked = {"dataset": dataset.pk, "kind": kind, "n": count + skipped[kind]}
        standing = [pk for (pk,) in execute(WORST, asked) if pk not in tally.moved]
        worst[kind] = standing[:count]
    found = Flag.objects.in_bulk([pk for ids in worst.values() for pk in ids])
    return {kind: [found[pk] for pk in ids if pk in found] for kind, ids in worst.items()}


def counts_by_kind(
    dataset: Dataset, kind: str = "", *, tally: Tally | None = None
) -> dict[str, QueueCounts]:
    """Count every kind's flags, or one kind's, in three queries; in one beside a tally."""
    tally = tally or tally_of(dataset, kind)
    done = Flag.objects.filter(dataset=dataset, state__in=CLOSED)
    done = done.filter(kind=kind) if kind else done.exclude(kind=UNFLAGGED)
    closed = dict(done.values_list("kind").annotate(n=Count("pk")).order_by())
    waiting, likely = Counter[str](), Counter[str]()
    for flag, n in tally.open.items():
        waiting[flag.kind] += n
        likely[flag.kind] += n if flag.is_likely else 0
    return {
        of: QueueCounts(waiting[of], likely[of], closed.get(of, 0), tally.in_test[of])
        for of in sorted({*waiting, *closed})
    }


@dataclass(frozen=True)
class Confirmed:
    """How many of a kind's decided flags people found right, and how sure that share is."""

    right: int
    decided: int
    share: Interval


def settled_decisions(dataset: Dataset) -> QuerySet[Decision]:
    """Return what people decided flag by flag; what they passed on to a round is not yet."""
    return Decision.objects.filter(
        dataset=dataset,
        flag__isnull=False,
        undoes__isnull=True,
        undone_by__isnull=True,
        bulk__isnull=True,
    ).exclude(action=Action.ROUND)


def confirmed_so_far(dataset: Dataset) -> dict[str, Confirmed]:
    """Count, by kind, how many flags people found right."""
    rows = (
        settled_decisions(dataset)
        .values("flag__kind")
        .annotate(n=Count("pk"), kept=Count("pk", filter=Q(action=Action.KEEP)))
    )
    return {
        row["flag__kind"]: Confirmed(
            row["n"] - row["kept"], row["n"], share_interval(row["n"] - row["kept"], row["n"])
        )
        for row in rows
    }


def reviewed(dataset: Dataset) -> QuerySet[Decision]:
    """Return decisions about flags; what was done in Browse, flagging too, is no review."""
    return Decision.objects.filter(dataset=dataset, flag__isnull=False, undoes__isnull=True)


@dataclass(frozen=True)
class Paces:
    """Seconds that a decision took last: by kind, and of any kind where there was none."""

    by_kind: Mapping[str, float]
    any: float | None

    def seconds(self, n: int, kind: str = "") -> float | None:
        """Return what `n` decisions will take; None while nobody decided anything."""
        each = self.by_kind.get(kind, self.any)
        return None if each is None else n * each


def paces_of(decisions: QuerySet[Decision], kinds: Iterable[str]) -> Paces:
    """Return the median seconds of the last decisions about each kind, and about any.

    The last of all are read at once, and only a kind that is rare among them by itself: kinds
    that nobody decided about yet are better not asked for.
    """
    timed = decisions.filter(seconds__gt=0).order_by("-pk")
    last = list(timed.values_list("flag__kind", "seconds")[:LOOKED_BACK])
    by_kind = {}
    for kind in kinds:
        spent = [seconds for of, seconds in last if of == kind]
        if len(spent) < PACE_OVER and len(last) == LOOKED_BACK:
            spent = list(
                timed.filter(flag__kind=kind).values_list("seconds", flat=True)[:PACE_OVER]
            )
        if spent:
            by_kind[kind] = _median(spent)
    return Paces(by_kind, _median([seconds for _of, seconds in last]) if last else None)


def _median(spent: list[float]) -> float:
    return float(median(spent[:PACE_OVER]))


def last_decision(dataset: Dataset, user: User, kind: str) -> Decision | None:
    """Return the newest decision of a person in a queue, as first or second, not undone."""
    theirs = Q(by=user) | Q(proposal__second=user, proposal__state=ProposalState.AGREED)
    kinds = (kind, UNFLAGGED) if kind == DOUBTED else (kind,)
    mine = Decision.objects.filter(
        theirs, dataset=dataset, flag__kind__in=kinds, undoes__isnull=True, bulk__isnull=True
    )
    mine = mine.exclude(undo_proposals__state=ProposalState.WAITING)
    return mine.filter(undone_by__isnull=True).select_related("flag").order_by("-pk").first()


def last_checks(dataset: Dataset) -> dict[str, Job]:
    """Return the newest finished check job by kind; its result holds the outcome of each."""
    done = Job.objects.filter(dataset=dataset, kind="detect", state=JobState.DONE)
    newest: dict[str, Job] = {}
    for job in done.order_by("-pk")[:CHECKS_READ]:
        for kind in job.result.get("kinds", {}):
            newest.setdefault(kind, job)
    return newest


@dataclass(frozen=True)
class CameUp:
    """How many doubts a check added to a queue in which people had decided some by then."""

    n: int
    at: datetime


def came_up(dataset: Dataset, kind: str = "") -> dict[str, CameUp]:
    """Return by kind what its last check added, in two queries.

    A check goes on with the next likeliest once those before were settled, so a queue that was
    nearly done is long again; whoever decided there wants to be told.
    """
    made = reviewed(dataset).filter(undone_by=None, **({"flag__kind": kind} if kind else {}))
    began = dict(made.order_by().values_list("flag__kind").annotate(at=Min("at")))
    told = {
        of: (job, job.result["kinds"][of].get("new", 0)) for of, job in last_checks(dataset).items()
    }
    return {
        of: CameUp(n, job.finished_at)
        for of, (job, n) in told.items()
        if n and of in began and job.finished_at and began[of] < job.finished_at
    }


def flag_rows(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield one row per flag, or per pair of items for flags about more than one.

    A source in two splits is one row per item, beside the first item of another split; what is
    about a class or a column is one row per item alone: all their pairs would be thousands.
    Items drawn at random are no doubts: what was said of them stands among the decisions.
    """
    flags = Flag.objects.filter(dataset=dataset).exclude(kind=UNFLAGGED)
    flags = flags.order_by("kind", "-score", "pk")
    flags = flags.prefetch_related(Prefetch("flag_items", _with_items()))
    for flag in flags.iterator(chunk_size=FLAGS_A_READ):
        state = "candidate" if flag.state == FlagState.OPEN and not flag.is_likely else flag.state
        for key, other in _pairs(flag):
            yield {
                "kind": flag.kind,
                "score": flag.score,
                "state": str(state),
                "key": key,
                "other_key": other,
                "subject": flag.subject,
                "reason": flag.reason,
            }


def _with_items() -> QuerySet[FlagItem]:
    return FlagItem.objects.select_related("item").order_by("item__key")


def _pairs(flag: Flag) -> Iterator[tuple[str, str]]:
    rows = flag.flag_items.all()
    items = [row.item for row in rows]
    if any(row.role in GROUP_ROLES for row in rows):
        yield from ((item.key, "") for item in items)
    elif len(items) <= 1:
        yield (items[0].key if items else "", "")
    elif "group" in flag.evidence:
        for item in items:
            yield item.key, next((o.key for o in items if o.split != item.split), "")
    else:
        yield from ((one.key, other.key) for one, other in combinations(items, 2))


def decision_rows(decisions: QuerySet[Decision]) -> Iterator[dict[str, Any]]:
    """Yield one row per decision and item that it was about."""
    rows = decisions.select_related("flag", "by", "proposal__second")
    for decision in rows.iterator(chunk_size=FLAGS_A_READ):
        after = {state["key"]: state for state in decision.after}
        for before in decision.before:
            now = after.get(before["key"], {})
            yield {
                "decision": decision.pk,
                "at": decision.at.isoformat(),
                "by": decision.by.username if decision.by else "",
                "second": _second_of(decision),
                "kind": decision.flag.kind if decision.flag else "",
                "action": decision.action,
                "undoes": decision.undoes_id or "",
                "seconds": decision.seconds,
                "touches_test": decision.touches_test,
                "key": before["key"],
                **{f"{name}_before": before.get(name) or "" for name in STATE_SHOWN},
                **{f"{name}_after": now.get(name) or "" for name in STATE_SHOWN},
            }


def _second_of(decision: Decision) -> str:
    """Return who agreed before a decision took effect, or who disagreed before a lead settled."""
    second = decision.proposal.second if decision.proposal else None
    return second.username if second else ""
