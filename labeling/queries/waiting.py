"""Why there is nothing for somebody to answer in a round, and what comes next."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Exists, F, Min, Q
from django.utils.translation import gettext, ngettext

from labeling.models import (
    Annotator,
    Answer,
    Claim,
    GuardAct,
    Round,
    RoundItemState,
    RoundKind,
)
from labeling.queries import guards, places, qualifications

VERDICTS = ("passed", "failed", "waived")


@dataclass(frozen=True)
class Waiting:
    """Why an annotator got nothing: others hold items, or they themselves, or all is done.

    After a qualification `reason` says what came of it: passed, failed or waived.
    `for_others` counts open items that only somebody else can answer: this person did, or
    would verify what they said themselves.
    """

    state: str
    with_others: int
    with_you: int
    next_free_seconds: int | None
    skipped: int
    for_others: int
    reason: str = ""
    first: int | None = None  # the qualification (by id) that has to be passed first
    may_try_again: bool = False  # of a qualification that ended: another attempt

    @property
    def words(self) -> str:
        """Say it in a sentence or two."""
        if self.state == "ended":
            return gettext("Your lead ended your work here: %s.") % self.reason
        if self.state == "unqualified":
            return gettext("This round needs a qualification: %s.") % self.reason
        if self.state == "paused":
            return (
                gettext(
                    "You are paused because %s. Your lead has been told; write to them in My work."
                )
                % self.reason
            )
        if self.state in VERDICTS:
            return self.reason
        if self.state == "closed":
            return gettext("This round is closed.")
        if self.state == "yours":
            n = self.with_you
            return ngettext(
                "You hold %(n)s item yourself.", "You hold %(n)s items yourself.", n
            ) % {"n": n}
        if self.state == "busy":
            return self._busy_words()
        done = gettext("You have answered everything that this round asks of you.")
        if not self.for_others:
            return done
        more = ngettext(
            "%(n)s item waits for somebody else.",
            "%(n)s items wait for somebody else.",
            self.for_others,
        )
        return f"{done} {more % {'n': self.for_others}}"

    def _busy_words(self) -> str:
        words = ngettext(
            "Nothing free just now: %(n)s item is with somebody else, next free in %(t)s min.",
            "Nothing free just now: %(n)s items are with others, next free in %(t)s min.",
            self.with_others,
        )
        minutes = max(1, -(-(self.next_free_seconds or 0) // 60))
        return words % {"n": self.with_others, "t": minutes}


def waiting_in(asking: Round, annotator: Annotator, *, now: datetime) -> Waiting:
    """Say what is left of a round for an annotator to whom nothing can be handed out."""
    stop = guards.stop_of(annotator)
    if stop:
        state = "ended" if stop.act == GuardAct.END else "paused"
        return Waiting(state, 0, 0, None, 0, 0, reason=guards.reason_of(stop))
    required = qualifications.bar_of(asking, annotator)
    if required and not asking.closed_at:
        reason = qualifications.words_of(required)
        return Waiting("unqualified", 0, 0, None, 0, 0, reason, required.pk)
    ended = _verdict(asking, annotator) if asking.kind == RoundKind.QUALIFY else None
    if ended:
        return ended
    held = Claim.objects.filter(round_item__round=asking)
    held = held.exclude(Exists(places.said_about(asking, annotator, "round_item__item")))
    others = ~Q(annotator=annotator) & ~Q(round_item__state=RoundItemState.GOLD)
    yours = Q(annotator=annotator)
    facts = held.aggregate(
        others=Count("round_item", distinct=True, filter=others),
        yours=Count("round_item", distinct=True, filter=yours),
        soonest=Min("expires_at", filter=others),
    )
    skipped = asking.annotations.filter(
        annotator=annotator, answer=Answer.SKIP, withdrawn_at__isnull=True
    ).count()
    free = asking.round_items.filter(state=RoundItemState.OPEN, taken__lt=F("wanted"))
    held_by = "busy" if facts["others"] else "yours" if facts["yours"] else "done"
    state = "closed" if asking.closed_at else held_by
    soonest = facts["soonest"]
    seconds = None if soonest is None else max(0, round((soonest - now).total_seconds()))
    for_others = free.filter(item__excluded="").count() - skipped
    if asking.kind == RoundKind.QUALIFY:  # its places never fill: everybody answers all
        for_others = 0
    return Waiting(state, facts["others"], facts["yours"], seconds, skipped, max(0, for_others))


def _verdict(asking: Round, annotator: Annotator) -> Waiting | None:
    """Say what came of the attempt that ended last, and what comes next."""
    standing = qualifications.standing_in(asking, annotator)
    if not standing.is_between:
        return None
    more = _opened_by(asking) if standing.qualifies else _next_attempt(standing)
    said = [words for words in (standing.words, standing.next_step, more) if words]
    again = standing.may_try_again and not standing.qualifies
    return Waiting(standing.state, 0, 0, None, 0, 0, " ".join(said), may_try_again=again)


def _opened_by(asking: Round) -> str:
    rounds = asking.required_by.filter(closed_at__isnull=True).order_by("pk")
    names = ", ".join(f"“{name}”" for name in rounds.values_list("name", flat=True))
    return gettext("Open to you now, in My work: %s.") % names if names else ""


def _next_attempt(standing: qualifications.Standing) -> str:
    if not standing.may_try_again:
        return ""
    if len(qualifications.fresh_for(standing.round, standing.annotator)) < standing.items:
        return gettext("Too few other items are known: it asks the same ones again.")
    return gettext("It asks other items.")
