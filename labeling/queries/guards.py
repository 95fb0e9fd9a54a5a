"""Reads about warnings and pauses, and the answers that guards look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Dataset,
    GuardAct,
    GuardEvent,
    Round,
    RoundKind,
    User,
)
from labeling.queries import gold
from labeling.queries.by_hand import Statement, execute
from mlcore.guards import CLOSELY, LEAST_KNOWN, is_vouched_for

STOPS = (GuardAct.PAUSE, GuardAct.END)
TURNS = (GuardAct.PAUSE, GuardAct.END, GuardAct.RESUME)
WARNED_FOR = timedelta(minutes=10)  # so long the sentence stays on the screen
LATEST = 300  # answers of a person that are judged: guards look at no more
USUAL = 4_000  # answers of others that tell what is usual, and how good others are
GOLD_LATEST = 60  # gold answers of a person that are judged
GOLD_SHARE = 0.5  # of the others' accuracy; whose upper limit is below it does not look
EVENTS = Statement(
    """
    SELECT {event} FROM labeling_guardevent event
    WHERE event.annotator_id = %(annotator)s ORDER BY event.id DESC
    """,
    event=GuardEvent,
)
# By hand, as all that a claim asks: gold answers since somebody was last spoken to.
CHECKED = """
SELECT COUNT(*), COUNT(CASE WHEN given.label_id = gold.label_id
         OR given.answer = 'no' AND given.asked_id <> gold.label_id THEN 1 END),
  (SELECT COUNT(*) FROM labeling_labelclass WHERE dataset_id = %(dataset)s AND retired_at IS NULL)
FROM labeling_annotation given
JOIN labeling_golditem gold ON gold.item_id = given.item_id AND gold.retired_at IS NULL
JOIN labeling_round asking ON asking.id = given.round_id AND asking.counts
WHERE given.annotator_id = %(annotator)s AND given.is_gold AND given.withdrawn_at IS NULL
  AND given.answer IN ('class', 'no', 'unusable')
  AND NOT EXISTS (
    SELECT 1 FROM labeling_guardevent event WHERE event.annotator_id = given.annotator_id
      AND event.act <> 'reply' AND event.at >= given.created_at)
"""

Row = tuple[int, int, int | None, float | None, bool]


def stop_of(annotator: Annotator) -> GuardEvent | None:
    """Return the pause, or the end of work, that holds for an annotator."""
    last = _last(annotator, TURNS)
    return last if last and last.act in STOPS else None


def warning_for(annotator: Annotator, *, now: datetime) -> str:
    """Return the sentence that an annotator who was warned just now reads."""
    last = _last(annotator, (GuardAct.WARN, *TURNS))
    fresh = last and last.act == GuardAct.WARN and last.at >= now - WARNED_FOR
    return reason_of(last) if last and fresh else ""


def _last(annotator: Annotator, acts: Sequence[str]) -> GuardEvent | None:
    rows = EVENTS.rows(annotator=annotator.pk)  # a handful, if any
    return next((event for (event,) in rows if event.act in acts), None)


def reason_of(event: GuardEvent) -> str:
    """Say what was odd, to the person themselves."""
    words = {
        "too fast": gettext("many of the last answers came much faster than others need for them"),
        "one key": gettext("nearly all of the last answers were the same, unlike those of others"),
        "pattern": gettext("the last answers repeat a pattern"),
        "many skips": gettext("many more of the last items were skipped or left unsure than usual"),
        "by chance": gettext(
            "the last answers agree with those of others no more than any key would"
        ),
        "check items": gettext("most of the last check items were answered wrongly"),
    }
    told = [words.get(kind, kind) for kind in event.kinds]
    return "; ".join([*told, event.text] if event.text else told)


@dataclass(frozen=True)
class Stopped:
    """An annotator who is paused or whose work was ended, why, and what they wrote since."""

    annotator: Annotator
    event: GuardEvent
    reason: str
    messages: list[GuardEvent]


def stopped(rows: QuerySet[Annotator]) -> list[Stopped]:
    """Return those of these annotators who are stopped, in the order in which that was."""
    with_events = rows.filter(
        Exists(GuardEvent.objects.filter(annotator=OuterRef("pk"), act__in=STOPS))
    )
    found = []
    for annotator in with_events.select_related("user", "dataset"):
        event = stop_of(annotator)
        if event:
            since = annotator.guard_events.filter(pk__gt=event.pk, act=GuardAct.REPLY)
            found.append(Stopped(annotator, event, reason_of(event), list(since)))
    return sorted(found, key=lambda row: row.event.pk)


def stopped_in(dataset: Dataset) -> list[Stopped]:
    """Return who is stopped in a dataset."""
    return stopped(Annotator.objects.filter(dataset=dataset))


def stopped_as(user: User) -> list[Stopped]:
    """Return where somebody is stopped."""
    return stopped(Annotator.objects.filter(user=user))


def has_outside(dataset: Dataset) -> bool:
    """Return whether anybody answered elsewhere, where guards do not look."""
    return Annotator.objects.filter(dataset=dataset, user__isnull=True).exists()


def history(
    dataset: Dataset, *, annotator: Annotator | None = None
) -> list[tuple[GuardEvent, str]]:
    """Return all that was said to the annotators of a dataset, or to one, newest first."""
    rows = GuardEvent.objects.filter(annotator__dataset=dataset)
    rows = rows.filter(annotator=annotator) if annotator else rows
    rows = rows.select_related("annotator__user", "by").order_by("-pk")
    return [(row, reason_of(row)) for row in rows]


# ---- what guards look at ----


def active(*, since: datetime) -> list[Annotator]:
    """Return who answered lately and is not stopped."""
    given = Annotation.objects.filter(annotator=OuterRef("pk"), created_at__gte=since)
    rows = Annotator.objects.filter(Exists(given), user__isnull=False).select_related("dataset")
    return [row for row in rows if stop_of(row) is None]


def answers_to_judge(annotator: Annotator) -> list[Row]:
    """Return an annotator's latest answers, oldest first: item, person, class or none, seconds,
    whether it was a yes or no.

    Only those since the last warning, pause or resumption: nobody is blamed twice for the same.
    """
    last = annotator.guard_events.exclude(act=GuardAct.REPLY).last()
    rows = _rows().filter(annotator=annotator)
    if last:
        rows = rows.filter(created_at__gt=last.at)
    return list(reversed(_columns(rows.order_by("-pk")[:LATEST])))


def answers_of_others(annotator: Annotator, items: Sequence[int]) -> list[Row]:
    """Return what others answered to these items (by id), and lately to any: what is usual."""
    others = _rows().exclude(annotator=annotator).filter(round__dataset=annotator.dataset_id)
    same = others.filter(item__in=items)
    return _columns(same) + _columns(others.exclude(item__in=items).order_by("-pk")[:USUAL])


def _rows() -> QuerySet[Annotation]:
    return Annotation.objects.filter(withdrawn_at__isnull=True)


def _columns(rows: QuerySet[Annotation]) -> list[Row]:
    meant = Coalesce("label__merged_into", "label")  # as it counts: nobody is odd for a merge
    found = rows.values_list("item", "annotator", meant, "seconds", "answer", "asked")
    return [
        (
            item,
            person,
            (-(asked or 0) or None) if answer == Answer.NO else label,
            seconds,
            asked is not None,
        )
        for item, person, label, seconds, answer, asked in found
    ]


def fails_gold(annotator: Annotator) -> bool:
    """Return whether somebody is right about known answers far less often than the others."""
    last = annotator.guard_events.exclude(act=GuardAct.REPLY).last()
    rows = gold.answers(annotator.dataset)
    mine = rows.filter(annotator=annotator)
    if last:
        mine = mine.filter(created_at__gt=last.at)
    own = list(mine.order_by("-pk").values_list("is_right", flat=True)[:GOLD_LATEST])
    if len(own) < LEAST_KNOWN:
        return False
    others = list(rows.exclude(annotator=annotator).values_list("is_right", flat=True))
    usual = sum(others) / len(others) if len(others) >= LEAST_KNOWN else 1.0
    return gold.Checked(len(own), sum(own)).accuracy.high < GOLD_SHARE * usual


def gold_every(asking: Round, annotator: Annotator) -> int:
    """Return of how many items one is a gold one for somebody: of few until gold vouches for them.

    A warning asks for it again.
    """
    if not 0 < CLOSELY < asking.gold_every:
        return asking.gold_every
    names = {"annotator": annotator.pk, "dataset": asking.dataset_id}
    ((answered, right, classes),) = execute(CHECKED, names)
    choices = 2 if asking.kind == RoundKind.VERIFY else max(2, classes)
    is_known = is_vouched_for(right, answered, options=choices)
    return asking.gold_every if is_known else CLOSELY
