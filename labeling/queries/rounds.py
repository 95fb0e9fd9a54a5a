"""Reads about rounds: what is asked, how far it is, what is left for whom."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Avg, Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from labeling.models import (
    CLASS_KEYS,
    Annotation,
    Annotator,
    Answer,
    Claim,
    Dataset,
    GuardAct,
    LabelClass,
    Media,
    Membership,
    Role,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
    User,
)
from labeling.queries import gold, guards, guidelines, places, qualifications
from labeling.queries.by_hand import MOST_ID, Statement

DONE = (RoundItemState.SETTLED, RoundItemState.DISPUTED)
# Keys of the annotation screen itself; a class that asks for one of them gets another.
RESERVED_KEYS = {f"Key{letter}" for letter in "AGMNPRSUXYZ"} | {
    "Enter",
    "Equal",
    "Escape",
    "Minus",
    "Slash",
    "Space",
    "Tab",
}
UNUSABLE_REASONS = {
    Media.IMAGE: (
        _("too blurred, dark or small"),
        _("nothing of what is asked for"),
        _("more than one"),
        _("broken or cut off"),
    ),
    Media.AUDIO: (
        _("silent or only noise"),
        _("cut off"),
        _("not what is asked for"),
        _("more than one"),
    ),
    Media.TEXT: (
        _("empty or garbled"),
        _("another language"),
        _("not what is asked for"),
        _("more than one"),
    ),
}
NAMED = Statement(
    """
    SELECT {answer} FROM labeling_labelclass answer
    WHERE answer.dataset_id = %(dataset)s AND answer.id IN (<ids>)
    """,
    answer=LabelClass,
)
CURRENT = Statement(
    """
    SELECT {answer} FROM labeling_labelclass answer
    WHERE answer.dataset_id = %(dataset)s AND answer.retired_at IS NULL
    ORDER BY answer.position, answer.id
    """,
    answer=LabelClass,
)


def current_classes(dataset: Dataset) -> list[LabelClass]:
    """Return the classes that can be answered."""
    return [row for (row,) in CURRENT.rows(dataset=dataset.pk)]


def classes_named(dataset: Dataset, ids: set[int]) -> dict[int, LabelClass]:
    """Return those classes (by id) that the dataset has."""
    asked = [pk for pk in ids if abs(pk) <= MOST_ID]
    rows = NAMED.rows(dataset=dataset.pk, ids=asked) if asked else []
    return {row.pk: row for (row,) in rows}


@dataclass(frozen=True)
class Choice:
    """A class as an answer: its button and its key."""

    pk: int
    name: str
    code: str
    cap: str


def choices(dataset: Dataset) -> list[Choice]:
    """Return the classes that can be answered, with keys for as long as there are any."""
    classes = current_classes(dataset)
    own = {row.pk: row.key for row in classes if row.key and row.key not in RESERVED_KEYS}
    free = iter([code for code in CLASS_KEYS if code not in own.values()])
    without = [row.pk for row in classes if row.pk not in own]
    codes = {**dict(zip(without, free)), **own}
    return [_choice(row, codes.get(row.pk, "")) for row in classes]


def _choice(row: LabelClass, code: str) -> Choice:
    return Choice(row.pk, row.name, code, code.removeprefix("Digit").removeprefix("Key"))


def items_to_ask(
    dataset: Dataset, *, which: str, keys: Sequence[str] = (), order: str = ""
) -> list[int]:
    """Return the ids of a dataset's items `all`, `unlabelled` or with these `keys`.

    `random` order is always the same: in the order of an import, the item before would
    hint at the answer. Without an order keys keep theirs, and all others are random. An order
    that learns begins at random: there is no model yet.
    """
    rows = dataset.items.filter(excluded="")
    if which == "keys":
        ids = dict(rows.filter(key__in=keys).values_list("key", "pk"))
        found = [ids[key] for key in keys if key in ids]
    else:
        rows = rows.filter(label__isnull=True) if which == "unlabelled" else rows
        found = list(
            rows.order_by("key" if order == "listed" else "pk").values_list("pk", flat=True)
        )
    if (order or ("listed" if which == "keys" else "random")) in ("random", "learning"):
        random.Random(dataset.pk).shuffle(found)
    return found


def rounds_of(dataset: Dataset) -> QuerySet[Round]:
    """Return a dataset's rounds, open ones first, with how far each is."""
    rows = dataset.rounds.annotate(
        total=_count(RoundItem.objects.exclude(state=RoundItemState.GOLD)),
        done=_count(RoundItem.objects.filter(state__in=DONE)),
        disputed=_count(RoundItem.objects.filter(state=RoundItemState.DISPUTED)),
        answers=_count(answers_given().filter(is_gold=False)),
    )
    return rows.order_by(F("closed_at").desc(nulls_first=True), "-pk")


def _count(rows: QuerySet[Any], field: str = "round") -> Any:
    """Count rows of a round in a subquery, so that several counts do not multiply."""
    of_round = rows.filter(**{field: OuterRef("pk")}).order_by().values(field)
    counted = Subquery(of_round.annotate(n=Count("pk")).values("n"))
    return Coalesce(counted, 0)


def answers_given() -> QuerySet[Annotation]:
    return Annotation.objects.filter(withdrawn_at__isnull=True).exclude(answer=Answer.SKIP)


@dataclass(frozen=True)
class Work:
    """An open round as one person sees it: what is left for them and what they did."""

    round: Round
    left: int
    mine: int
    mine_today: int
    seconds_left: float | None
    guideline_changed: bool = False
    held: "Held | None" = None
    first: Round | None = None  # to be passed before


@dataclass(frozen=True)
class Held:
    """What others hold of a round from which nothing is free."""

    items: int
    seconds: int


def work_for(user: User, *, today: datetime) -> list[Work]:
    """Return the open rounds that this user may answer, the most urgent first."""
    member = Membership.objects.filter(user=user, dataset=OuterRef("dataset"))
    mine = answers_given().filter(annotator__user=user)
    rows = Round.objects.filter(Exists(member), closed_at__isnull=True)
    named = Round.people.through.objects.filter(round=OuterRef("pk"))
    rows = rows.filter(~Exists(named) | Exists(named.filter(user=user)))
    rows = (
        rows.select_related("dataset")
        .annotate(
            mine=_count(mine),
            mine_today=_count(mine.filter(created_at__gte=today)),
            seconds=Subquery(
                mine.filter(round=OuterRef("pk"))
                .order_by()
                .values("round")
                .annotate(mean=Avg("seconds"))
                .values("mean")
            ),
        )
        .order_by(F("deadline").asc(nulls_last=True), "pk")
    )
    left = {
        **places.left_in(rows, Q(annotator__user=user)),
        **qualifications.left_for(rows, user),
    }
    return [
        Work(
            round=row,
            left=left.get(row.pk, 0),
            mine=row.mine,
            mine_today=row.mine_today,
            seconds_left=None if row.seconds is None else left.get(row.pk, 0) * row.seconds,
        )
        for row in rows
    ]


def crowd(asking: Round, *, today: datetime) -> QuerySet[Annotator]:
    """Return who answered in a round, most answers first, with their counts and pace."""
    here = Q(annotations__round=asking, annotations__withdrawn_at__isnull=True)
    given = here & ~Q(annotations__answer=Answer.SKIP)
    return (
        Annotator.objects.filter(dataset=asking.dataset_id)
        .filter(Exists(Annotation.objects.filter(round=asking, annotator=OuterRef("pk"))))
        .select_related("user")
        .annotate(
            answers=Count("annotations", filter=given),
            today=Count("annotations", filter=given & Q(annotations__created_at__gte=today)),
            unsure=Count("annotations", filter=here & Q(annotations__answer=Answer.UNSURE)),
            unusable=Count("annotations", filter=here & Q(annotations__answer=Answer.UNUSABLE)),
            skipped=Count("annotations", filter=here & Q(annotations__answer=Answer.SKIP)),
            surplus=Count("annotations", filter=given & Q(annotations__is_surplus=True)),
            seconds=Avg("annotations__seconds", filter=given),
            last=Max("annotations__created_at", filter=here),
        )
        .order_by("-answers", "pk")
    )


@dataclass(frozen=True)
class Waiting:
    """Why an annotator got nothing: others hold items, or they themselves, or all is done.

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


def waiting(asking: Round, annotator: Annotator, *, now: datetime) -> Waiting:
    """Say what is left of a round for an annotator to whom nothing can be handed out."""
    stop = guards.stop_of(annotator)
    if stop:
        state = "ended" if stop.act == GuardAct.END else "paused"
        return Waiting(state, 0, 0, None, 0, 0, reason=guards.reason_of(stop))
    required = qualifications.bar_of(asking, annotator)
    if required and not asking.closed_at:
        reason = qualifications.words_of(required)
        return Waiting("unqualified", 0, 0, None, 0, 0, reason, required.pk)
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


def standing(asking: Round, annotator: Annotator) -> dict[str, int]:
    """Return what an annotator did in a round and what is left for them."""
    mine = answers_given().filter(round=asking, annotator=annotator)
    if asking.kind == RoundKind.QUALIFY:
        left = qualifications.standing_in(asking, annotator).left
    else:
        left = places.left_in([asking], Q(annotator=annotator))[asking.pk]
        left += _held_and_full(asking, annotator)
    if left and asking.gold_every:
        left += gold.still_to_come(asking, annotator, left=left)
    parked = asking.annotations.filter(
        annotator=annotator, is_parked=True, withdrawn_at__isnull=True
    )
    return {"answered": mine.count(), "left": left, "parked": parked.count()}


def _held_and_full(asking: Round, annotator: Annotator) -> int:
    """Count what an annotator holds where nobody else fits: a free place is counted as such."""
    held = Claim.objects.filter(annotator=annotator, round_item__round=asking)
    free = Q(round_item__state=RoundItemState.OPEN, round_item__taken__lt=F("round_item__wanted"))
    return held.exclude(free).count()


def start_of_day(now: datetime) -> datetime:
    """Return midnight before this moment, where the site is."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def people_of(dataset: Dataset) -> QuerySet[User]:
    """Return the members who can be named in a round."""
    return User.objects.filter(memberships__dataset=dataset).order_by("username")


def left_out(made: Round, asked: Iterable[int]) -> int:
    """Count the items (by id) that a round leaves out because the guideline shows them."""
    examples = guidelines.example_items(made.dataset) & set(asked)
    return len(examples) - made.round_items.filter(item__in=examples).count()


def reviewers_of(dataset: Dataset) -> QuerySet[User]:
    """Return the members who decide what others disagree about."""
    others = Membership.objects.filter(dataset=dataset).exclude(role=Role.ANNOTATOR)
    return people_of(dataset).filter(pk__in=others.values("user"))


def unknown_keys(dataset: Dataset, keys: Iterable[str]) -> list[str]:
    """Return the keys that no item of the dataset has."""
    wanted = list(keys)
    there = set(dataset.items.filter(key__in=wanted).values_list("key", flat=True))
    return [key for key in wanted if key not in there]


def next_number(dataset: Dataset) -> int:
    """Return a number for the name of the next round."""
    return dataset.rounds.count() + 1
