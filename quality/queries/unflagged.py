"""Items drawn at random from those that the queue of label errors does not hold.

Every 20th item of that queue is one of them; what people say of these estimates what it misses.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.models import Dataset, Item, RoundItem, RoundItemState, Split
from mlcore.intervals import Interval
from mlcore.shares import share_interval
from quality.models import UNFLAGGED, Action, Decision, Flag, FlagItem, FlagState
from quality.queries.flags import DOUBTED, open_flags, settled_decisions
from quality.queries.merging import became

EVERY = 20  # items of the queue, of which one is drawn at random

LEAST_LOOKED = 20  # of the drawn: none of them wrong leaves 16 % possible, of fewer nearly anything


@dataclass(frozen=True)
class Mixed:
    """The drawn item (its flag) that comes next, and how many doubted ones come before it."""

    flag: Flag
    ahead: int


@dataclass(frozen=True)
class Missed:
    """What people said of the drawn items, and how many there were to draw from (`of`)."""

    of: int
    looked: int
    wrong: int
    share: Interval

    @property
    def is_enough(self) -> bool:
        """Whether a share of all can be told of so many."""
        return self.looked >= LEAST_LOOKED

    @property
    def items(self) -> Interval:
        """Return how many of the unflagged items are wrong, by the share among the drawn."""
        share = self.share
        return Interval(self.of * share.value, self.of * share.low, self.of * share.high)


def ahead(dataset: Dataset) -> int:
    """Return how many doubts are decided before the next drawn item is due: two queries."""
    made = Decision.objects.filter(dataset=dataset, undoes=None, undone_by=None, bulk=None)
    last = made.filter(flag__kind=UNFLAGGED).order_by("-pk").values_list("pk", flat=True).first()
    since = made.filter(flag__kind=DOUBTED, pk__gt=last or 0)[:EVERY].count()
    return max(0, EVERY - 1 - since)


def mixed_in(dataset: Dataset, kind: str, *, later: Iterable[int] = ()) -> Mixed | None:
    """Return the drawn item that waits in a queue."""
    if kind != DOUBTED or not dataset.draws_unflagged:
        return None
    waiting = open_flags(dataset, UNFLAGGED).exclude(pk__in=list(later))
    flag = waiting.select_related("run__version", "raised_by").order_by("pk").first()
    return Mixed(flag, ahead(dataset)) if flag else None


def drawable(dataset: Dataset) -> QuerySet[Item]:
    """Return labelled items outside test that neither the queue nor a draw ever held."""
    held = FlagItem.objects.filter(
        ~Q(flag__state=FlagState.GONE, flag__kind=DOUBTED),
        item=OuterRef("pk"),
        flag__kind__in=(DOUBTED, UNFLAGGED),
    )
    items = Item.objects.filter(dataset=dataset, excluded="", label__isnull=False)
    return items.exclude(split=Split.TEST).exclude(Exists(held))


def missed(dataset: Dataset) -> Missed | None:
    """Estimate what the queue misses; items that it came to hold since count no longer.

    What was sent to a round counts once that has settled it.
    """
    now_held = FlagItem.objects.filter(
        item=OuterRef("flag__items"), flag__kind=DOUBTED, flag__state=FlagState.OPEN
    )
    said = settled_decisions(dataset).filter(flag__kind=UNFLAGGED).exclude(Exists(now_held))
    found = {row: _was_wrong(row) for row in said.select_related("flag")}
    found |= _settled_by_rounds(dataset, sent_on(dataset).exclude(Exists(now_held)))
    if not found:
        return None
    newest = max(found, key=lambda decision: decision.pk).flag
    of, wrong = newest.evidence["of"] if newest else 0, sum(found.values())
    return Missed(of, len(found), wrong, share_interval(wrong, len(found)))


def sent_on(dataset: Dataset) -> QuerySet[Decision]:
    """Return the decisions that sent drawn items to a round."""
    rows = Decision.objects.filter(dataset=dataset, flag__kind=UNFLAGGED, action=Action.ROUND)
    return rows.filter(undoes=None, undone_by=None).select_related("flag")


def _settled_by_rounds(dataset: Dataset, sent: QuerySet[Decision]) -> dict[Decision, bool]:
    """Return whether each item was wrong that a round, or a lead after it, has settled."""
    asked = {(row.after[0]["round"], row.after[0]["item"]): row for row in sent}
    if not asked:
        return {}
    places = RoundItem.objects.filter(round__dataset=dataset, item__in={item for _, item in asked})
    over = places.filter(Q(state=RoundItemState.SETTLED) | ~Q(item__excluded=""))
    named = over.values_list("round", "item", "item__excluded", "item__label__name")
    ends = became(dataset, known=())
    found = {}
    for asking, item, excluded, name in named:
        if decision := asked.get((asking, item)):
            given = decision.flag.given if decision.flag else ""
            found[decision] = bool(excluded) or name != ends.get(given, given)
    return found


def _was_wrong(decision: Decision) -> bool:
    """Whether a label was not left as it was; giving the same one again leaves it."""
    if decision.action == Action.RELABEL:
        return any(
            before["label"] != after["label"]
            for before, after in zip(decision.before, decision.after, strict=True)
        )
    return decision.action != Action.KEEP
