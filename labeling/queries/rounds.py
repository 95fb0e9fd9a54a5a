"""Reads about rounds: what is asked, how far it is, what is left for whom."""

import random
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Exists, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from labeling.models import (
    CLASS_KEYS,
    Annotation,
    Annotator,
    Answer,
    Claim,
    Dataset,
    Item,
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
from labeling.queries import checking, guidelines, places, qualifications
from labeling.queries.by_hand import MOST_ID, Statement

COUNTED_AGAIN = 3  # times at most, while somebody takes and gives back
FREE = Q(state=RoundItemState.OPEN, taken__lt=F("wanted"))
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
    that learns begins at random: there is no model yet. What is named by key is not left out
    here where it is excluded: making the round says so.
    """
    rows = dataset.items.filter(excluded="")
    if which == "keys":
        ids = dict(dataset.items.filter(key__in=keys).values_list("key", "pk"))
        found = [ids[key] for key in keys if key in ids]
    else:
        rows = rows.filter(label__isnull=True) if which == "unlabelled" else rows
        found = list(
            rows.order_by("key" if order == "listed" else "pk").values_list("pk", flat=True)
        )
    if (order or ("listed" if which == "keys" else "random")) in ("random", "learning"):
        random.Random(dataset.pk).shuffle(found)
    return found


def rounds_so_far(dataset: Dataset) -> QuerySet[Round]:
    """Return a dataset's rounds, open ones first, with how many of their items are done."""
    rows = dataset.rounds.annotate(
        total=_count(RoundItem.objects.exclude(state=RoundItemState.GOLD)),
        done=_count(RoundItem.objects.filter(state__in=DONE)),
    )
    return rows.order_by(F("closed_at").desc(nulls_first=True), "-pk")


def rounds_of(dataset: Dataset) -> QuerySet[Round]:
    """Return a dataset's rounds, open ones first, with how far each is."""
    return rounds_so_far(dataset).annotate(
        disputed=_count(RoundItem.objects.filter(state=RoundItemState.DISPUTED)),
        answers=_count(answers_given().filter(is_gold=False)),
    )


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
    has_more_checks: bool = False  # than were counted at first


@dataclass(frozen=True)
class Held:
    """What others hold of a round from which nothing is free."""

    items: int
    seconds: int


@dataclass(frozen=True)
class MyWork:
    """What waits for one person, and how much they did today, closed rounds included."""

    rounds: list[Work]
    answered_today: int

    @property
    def waiting(self) -> list[Work]:
        return [row for row in self.rounds if row.left]

    @property
    def finished(self) -> list[Work]:
        return [row for row in self.rounds if not row.left]


def open_rounds_for(user: User) -> QuerySet[Round]:
    """Return the open rounds that this user may answer, the most urgent first."""
    member = Membership.objects.filter(user=user, dataset=OuterRef("dataset"))
    rows = Round.objects.filter(Exists(member), closed_at__isnull=True)
    named = Round.people.through.objects.filter(round=OuterRef("pk"))
    rows = rows.filter(~Exists(named) | Exists(named.filter(user=user)))
    return rows.select_related("dataset").order_by(F("deadline").asc(nulls_last=True), "pk")


def work_for(user: User, *, today: datetime) -> MyWork:
    """Return the open rounds of a user with what is left for them and what they did today."""
    rows = open_rounds_for(user)
    # By their ids: joined, SQLite walks what everybody answered in these rounds.
    known = {row.dataset_id: row for row in Annotator.objects.filter(user=user)}
    people = [row.pk for row in known.values()]
    given = places.answers_by_round(rows, people, since=today)
    left = places.left_in(rows, people, given=given) + _held_by(people)
    left = Counter({**left, **qualifications.left_for(rows, user)})
    checks: dict[int, checking.Most] = {}
    for row in rows:
        annotator = known.get(row.dataset_id) or Annotator(pk=0, dataset=row.dataset, user=user)
        checks[row.pk] = checking.still_to_come(row, annotator, left=left[row.pk])
    return MyWork(
        rounds=[
            _work(row, left[row.pk], given.get(row.pk, places.Given()), checks=checks[row.pk])
            for row in rows
        ],
        answered_today=sum(each.lately for each in given.values()),
    )


def _held_by(people: Sequence[int]) -> Counter[int]:
    """Count by round (by id) the places that annotators (by id) hold and that are not free too."""
    if not people:
        return Counter()
    held = list(Claim.objects.filter(annotator__in=people).values_list("round_item", flat=True))
    rows = RoundItem.objects.filter(pk__in=held).exclude(FREE).order_by()
    return Counter(dict(rows.values_list("round").annotate(n=Count("pk"))))


def _work(asking: Round, left: int, given: places.Given, *, checks: checking.Most) -> Work:
    left += checks.n
    return Work(
        round=asking,
        left=left,
        mine=given.answers,
        mine_today=given.lately,
        seconds_left=None if given.seconds is None else left * given.seconds,
        has_more_checks=checks.is_more,
    )


def standing(asking: Round, annotator: Annotator) -> dict[str, int]:
    """Return what an annotator did in a round and what is left for them.

    What is left takes a while to count for somebody who answered much that is still open.
    """
    if asking.kind == RoundKind.QUALIFY:
        left = qualifications.standing_in(asking, annotator).left
    else:
        left = _left_or_held(asking, annotator)
    left += checking.still_to_come(asking, annotator, left=left).n
    return {**given_in(asking, annotator), "left": left}


def given_in(asking: Round, annotator: Annotator) -> dict[str, int]:
    """Count what an annotator answered in a round, and what they parked."""
    mine = asking.annotations.filter(annotator=annotator, withdrawn_at__isnull=True)
    return mine.aggregate(
        answered=Count("pk", filter=~Q(answer=Answer.SKIP)),
        parked=Count("pk", filter=Q(is_parked=True)),
    )


def _left_or_held(asking: Round, annotator: Annotator) -> int:
    """Count what is free for an annotator, and what they hold where nobody else fits.

    Again where they took or gave back something meanwhile: it would be counted twice, or not.
    """
    held = _held(annotator)
    for _turn in range(COUNTED_AGAIN):
        given = places.answers_by_round([asking], [annotator.pk], since=timezone.now())
        left = places.left_in([asking], [annotator.pk], given=given)[asking.pk]
        here = RoundItem.objects.filter(pk__in=held, round=asking)
        left += here.exclude(FREE).count()
        before, held = held, _held(annotator)
        if held == before:
            break
    return left


def _held(annotator: Annotator) -> list[int]:
    """Return the places (by id) that an annotator holds; few, but joined it is a walk."""
    return list(annotator.claims.order_by("pk").values_list("round_item", flat=True))


def start_of_day(now: datetime) -> datetime:
    """Return midnight before this moment, where the site is."""
    return timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)


def people_of(dataset: Dataset) -> QuerySet[User]:
    """Return the members who can be named in a round."""
    return User.objects.filter(memberships__dataset=dataset).order_by("username")


def round_to_ask_more(dataset: Dataset, annotator: Annotator) -> Round | None:
    """Return the newest open round of somebody's answers: there a second person can be asked."""
    rounds = dataset.rounds.filter(closed_at__isnull=True, counts=True, kind=RoundKind.CLASSIFY)
    return rounds.filter(annotations__annotator=annotator).order_by("-pk").first()


def asks_second(asking: Round, annotator: Annotator) -> bool:
    """Tell whether every item that somebody answered in a round wants a second answer already."""
    own = asking.annotations.filter(annotator=annotator).values("item")
    return not asking.round_items.filter(item__in=own, wanted__lt=2).exists()


def left_out(made: Round, asked: Iterable[int]) -> int:
    """Count the items (by id) that a round leaves out because the guideline shows them."""
    examples = guidelines.example_items(made.dataset) & set(asked)
    return len(examples) - made.round_items.filter(item__in=examples).count()


def excluded_of(dataset: Dataset, items: Iterable[int]) -> set[int]:
    """Return which of these items (by id) are excluded, and so never asked about."""
    out = Item.objects.filter(dataset=dataset, excluded__gt="")
    return set(items) & set(out.values_list("pk", flat=True))


def all_excluded(dataset: Dataset, items: Collection[int]) -> str:
    """Say so where all of these items (by id) are excluded, and how they come back if they can."""
    asked = set(items)
    if not asked or len(excluded_of(dataset, asked)) < len(asked):
        return ""
    gone = Item.objects.filter(dataset=dataset, withdrawn_at__isnull=False)
    withdrawn = len(asked & set(gone.values_list("pk", flat=True)))
    told = [
        ngettext(
            "The item is excluded, so nobody is asked about it.",
            "All %(n)s items are excluded, so nobody is asked about them.",
            len(asked),
        )
        % {"n": len(asked)}
    ]
    if withdrawn:
        words = ngettext(
            "Consent for one was withdrawn: it does not come back.",
            "Consent for %(n)s was withdrawn: they do not come back.",
            withdrawn,
        )
        told.append(words % {"n": withdrawn})
    if left := len(asked) - withdrawn:
        words = ngettext(
            "To bring one back: in Browse tick “Excluded”, select it, then “Include again”.",
            "To bring %(n)s back: in Browse tick “Excluded”, select them, then “Include again”.",
            left,
        )
        told.append(words % {"n": left})
    return " ".join(told)


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
