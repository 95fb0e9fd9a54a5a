"""Guards: people whose answers look odd are warned, then paused for a lead, who decides."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from labeling.models import Annotator, GuardAct, GuardEvent, NoticeKind, User
from labeling.queries import guards as queries
from labeling.queries.gold import known_labels
from labeling.services import notices
from labeling.services.rounds import lock_annotator, release_ahead, release_all

LOOKED_BACK = timedelta(minutes=5)  # beat looks each minute; a worker may be away for a few


def watch(*, now: datetime) -> int:
    """Look at everybody who answered lately; returns how many were warned or paused."""
    acted = 0
    for annotator in queries.active(since=now - LOOKED_BACK):
        odd = odd_about(annotator)
        if odd:
            warn_or_pause(annotator=annotator, kinds=odd, now=now)
            acted += 1
    return acted


def odd_about(annotator: Annotator) -> list[str]:
    """Return what is odd about an annotator's answers since they were last spoken to."""
    import numpy as np

    from mlcore.guards import SKIPPED, at_chance, warnings_of

    kinds = ["check items"] if queries.fails_gold(annotator) else []
    own = queries.answers_to_judge(annotator)
    if not own:
        return kinds
    rows = [*queries.answers_of_others(annotator, [row[0] for row in own]), *own]
    known = known_labels(annotator.dataset)
    said = [_told(row, known) for row in rows]
    coded = {label for label in said if label} | set(known.values())
    classes = {label: place for place, label in enumerate(sorted(coded))}
    (ids, items), (_, people) = (
        np.unique([row[column] for row in rows], return_inverse=True) for column in (0, 1)
    )
    answers = np.array([classes[label] if label else SKIPPED for label in said])
    seconds = np.array([np.nan if row[3] is None else row[3] for row in rows])
    found = warnings_of(items, people, answers, seconds, n_classes=max(2, len(classes)))
    choices = annotator.dataset.classes.filter(retired_at=None).count()
    found += at_chance(
        items,
        people,
        answers,
        options=np.array([2 if row[4] else max(2, choices) for row in rows]),
        known=np.array([classes[known[pk]] if pk in known else -1 for pk in ids.tolist()]),
    )
    me = int(people[-1])
    return [warning.kind for warning in found if warning.annotator == me] + kinds


def _told(row: queries.Row, known: Mapping[int, int]) -> int | None:
    """Return the class that an answer names; of a known item, a rightful "No" is the right one."""
    item, label = row[0], row[2]
    is_right = label is not None and label < 0 and item in known and -label != known[item]
    return known[item] if is_right else label


@transaction.atomic
def warn_or_pause(*, annotator: Annotator, kinds: list[str], now: datetime) -> GuardEvent:
    """Warn first; whoever goes on like that is paused until a lead decides."""
    lock_annotator(annotator)
    last = annotator.guard_events.exclude(act=GuardAct.REPLY).last()
    is_second = last is not None and last.act == GuardAct.WARN
    act = GuardAct.PAUSE if is_second else GuardAct.WARN
    event = GuardEvent.objects.create(annotator=annotator, act=act, kinds=kinds, at=now)
    if is_second:
        release_ahead(annotator=annotator)
        _tell(event, _("%(who)s was paused: %(why)s") % {"who": annotator, "why": ", ".join(kinds)})
    return event


def _tell(event: GuardEvent, words: str) -> None:
    notices.tell(
        dataset=event.annotator.dataset,
        kind=NoticeKind.PAUSED,
        about=f"event {event.pk}",
        words=words,
        path=reverse("labeling:pauses", args=[event.annotator.dataset.slug]),
        now=event.at,
    )


@transaction.atomic
def pause(*, annotator: Annotator, text: str, by: User, now: datetime) -> None:
    """Hand out nothing to somebody until a lead resumes it; what they hold goes to others.

    All but the item before them: its answer may be on its way, and nobody is asked in vain.
    """
    lock_annotator(annotator)
    GuardEvent.objects.create(annotator=annotator, act=GuardAct.PAUSE, text=text, by=by, at=now)
    release_ahead(annotator=annotator)


@transaction.atomic
def answer_pause(*, annotator: Annotator, text: str, by: User, now: datetime) -> bool:
    """Keep what somebody says about their pause; False when nothing stops them any more."""
    if queries.stop_of(annotator) is None:
        return False
    event = GuardEvent.objects.create(
        annotator=annotator, act=GuardAct.REPLY, text=text, by=by, at=now
    )
    _tell(event, _("%(who)s answers a pause: %(text)s") % {"who": annotator, "text": text})
    return True


@transaction.atomic
def decide(*, annotator: Annotator, act: str, by: User, now: datetime) -> None:
    """Let somebody go on, or end their work; either can be changed later."""
    lock_annotator(annotator)
    stop = queries.stop_of(annotator)
    if stop is None or stop.act == act:
        return  # a colleague was faster
    if act == GuardAct.END:
        release_all(annotator=annotator)
    kept = stop if act == GuardAct.END else None
    GuardEvent.objects.create(
        annotator=annotator,
        act=act,
        by=by,
        at=now,
        kinds=kept.kinds if kept else [],
        text=kept.text if kept else "",
    )
