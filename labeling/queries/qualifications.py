"""Reads about qualifications: who has passed, how far somebody is, what an answer's feedback is."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Dataset,
    GoldItem,
    GoldSource,
    Membership,
    QualifyingAct,
    QualifyingEvent,
    Role,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
    User,
)
from labeling.queries import guidelines
from mlcore.intervals import Interval
from mlcore.shares import share_interval

ORDER = ("failed", "begun", "passed", "waived", "new")  # who waits for the lead comes first
ENDED = (QualifyingAct.PASSED, QualifyingAct.FAILED)


def usable(dataset: Dataset) -> QuerySet[GoldItem]:
    """Return the known answers that a qualification can ask for: those of experts."""
    return GoldItem.objects.filter(
        item__dataset=dataset,
        item__excluded="",
        label__retired_at__isnull=True,
        retired_at__isnull=True,
        source=GoldSource.EXPERT,
    ).exclude(item__in=guidelines.example_items(dataset))


def qualifications_of(dataset: Dataset) -> QuerySet[Round]:
    """Return the rounds in which people can qualify, the newest first."""
    return dataset.rounds.filter(kind=RoundKind.QUALIFY).order_by("-pk")


# ---- where people stand ----


@dataclass(frozen=True)
class Standing:
    """Where one person stands in a qualification."""

    round: Round
    annotator: Annotator
    events: list[QualifyingEvent] = field(default_factory=list)
    answered: int = 0
    items: int = 0

    @property
    def last(self) -> QualifyingEvent | None:
        """The attempt that ended last."""
        ended = [event for event in self.events if event.act in ENDED]
        return ended[-1] if ended else None

    @property
    def is_waived(self) -> bool:
        return any(act == QualifyingAct.WAIVED for act in self._given())

    @property
    def has_passed(self) -> bool:
        return any(event.act == QualifyingAct.PASSED for event in self.events)

    @property
    def attempts(self) -> int:
        """How many attempts this person has in all."""
        return self.round.attempts + self._given().count(QualifyingAct.GRANTED)

    @property
    def tried(self) -> int:
        return sum(event.act in ENDED for event in self.events)

    @property
    def is_between(self) -> bool:
        """Whether an attempt has ended and no other one was begun."""
        turns = [event.act for event in self.events if event.act in (*ENDED, QualifyingAct.AGAIN)]
        return bool(turns) and turns[-1] in ENDED

    @property
    def drawn(self) -> list[int]:
        """The items (by id) drawn for the attempt at hand; none: those of the first attempt."""
        again = [event.items for event in self.events if event.act == QualifyingAct.AGAIN]
        return again[-1] if again else []

    @property
    def left(self) -> int:
        """How many items of the attempt at hand wait for an answer."""
        return 0 if self.is_between else max(0, self.items - self.answered)

    @property
    def may_try_again(self) -> bool:
        is_open = not self.round.closed_at and not self.has_passed
        return is_open and self.is_between and self.tried < self.attempts

    @property
    def can_take_back(self) -> bool:
        """Whether a lead gave something that can be taken back."""
        return bool(self._given())

    @property
    def state(self) -> str:
        """One of passed, waived, failed, begun, new."""
        if self.has_passed:
            return "passed"
        if self.is_waived:
            return "waived"
        if self.is_between:
            return "failed"
        return "begun" if self.answered or self.tried else "new"

    @property
    def qualifies(self) -> bool:
        return self.has_passed or self.is_waived

    @property
    def share(self) -> Interval | None:
        """The share that was right in the last attempt, with its 95 % limits."""
        last = self.last
        return share_interval(last.right, last.answered) if last and last.answered else None

    @property
    def words(self) -> str:
        """Say in a sentence where the person stands."""
        mark, last = self.round.pass_mark, self.last
        if self.state == "waived":
            return gettext("Waived.")
        if self.state == "begun":
            words = gettext("%(a)s of %(n)s answered; %(mark)s %% must be right.")
            return words % {"a": self.answered, "n": self.items, "mark": mark}
        if last is None:
            return gettext("Not begun.")
        words = (
            gettext("Passed: %(right)s of %(n)s right (%(share)s %%), %(mark)s %% were needed.")
            if self.has_passed
            else gettext(
                "Not passed: %(right)s of %(n)s right (%(share)s %%), %(mark)s %% are needed."
            )
        )
        share = 100 * last.right // last.answered  # rounded down: never at a mark that it missed
        return words % {"right": last.right, "n": last.answered, "share": share, "mark": mark}

    @property
    def next_step(self) -> str:
        """Tell the person what comes next, if anything does."""
        if self.state == "waived":
            return gettext("Your lead lets you answer without it.")
        if self.state != "failed":
            return ""
        if self.may_try_again:
            return gettext("You may try again.")
        if self.round.closed_at:
            return gettext("It is closed: ask your lead.")
        return gettext("There is no attempt left: ask your lead for another one.")

    def _given(self) -> list[str]:
        """What a lead gave and did not take back; taking back takes the last."""
        given: list[str] = []
        for event in self.events:
            if event.act in (QualifyingAct.GRANTED, QualifyingAct.WAIVED):
                given.append(event.act)
            elif event.act == QualifyingAct.REVOKED and given:
                given.pop()
        return given


def standing_in(asking: Round, annotator: Annotator) -> Standing:
    """Return where one person stands in a qualification."""
    return _standings([asking], [annotator])[asking.pk, annotator.pk]


def standings_of(asking: Round) -> list[Standing]:
    """Return where everybody stands who is asked or answered: who waits for the lead comes first.

    Who never began has no row as an annotator yet.
    """
    users = people_of(asking)
    rows = Annotator.objects.filter(dataset=asking.dataset_id, user__in=users)
    people = {row.user_id: row for row in rows.select_related("user")}
    found = _standings([asking], people.values())
    standings = [
        found[asking.pk, people[user.pk].pk]
        if user.pk in people
        else Standing(asking, Annotator(dataset=asking.dataset, user=user))
        for user in users
    ]
    return sorted(standings, key=lambda row: (ORDER.index(row.state), str(row.annotator)))


def people_of(asking: Round) -> QuerySet[User]:
    """Return who is asked, answered or was given something."""
    answered = Annotation.objects.filter(round=asking, annotator__user=OuterRef("pk"))
    noted = QualifyingEvent.objects.filter(round=asking, annotator__user=OuterRef("pk"))
    asked = asked_people(asking).values("pk")
    member = Membership.objects.filter(dataset=asking.dataset_id, user=OuterRef("pk"))
    members = User.objects.filter(Exists(member))
    return members.filter(Q(pk__in=asked) | Exists(answered) | Exists(noted))


def asked_people(asking: Round) -> QuerySet[User]:
    """Return whom a qualification is for: those named, else the members who annotate."""
    if asking.people.exists():
        return asking.people.all()
    dataset = asking.dataset_id
    return User.objects.filter(memberships__dataset=dataset, memberships__role=Role.ANNOTATOR)


def standings_in(dataset: Dataset, annotator: Annotator) -> list[Standing]:
    """Return where one person stands in the qualifications that they began or were waived."""
    found = _standings(list(qualifications_of(dataset)), [annotator]).values()
    return [row for row in found if row.state != "new"]


def last_of(dataset: Dataset, people: Iterable[Annotator]) -> dict[int, Standing]:
    """Return where each annotator (by id) stands in the newest qualification that they began."""
    asked = list(qualifications_of(dataset))
    found = _standings(asked, people).items() if asked else ()
    begun = {key: row for key, row in found if row.state != "new"}
    return {person: begun[pk, person] for pk, person in sorted(begun)}


def standings_for(user: User) -> list[Standing]:
    """Return what somebody passed, failed or was waived, the newest first; the rest is work."""
    mine = Annotator.objects.filter(user=user, dataset__rounds__kind=RoundKind.QUALIFY)
    found: list[Standing] = []
    for annotator in mine.distinct().select_related("dataset", "user").order_by("-pk"):
        rows = standings_in(annotator.dataset, annotator)
        found += [row for row in rows if row.state != "begun"]
    return found


def _standings(
    rounds: Iterable[Round], people: Iterable[Annotator]
) -> dict[tuple[int, int], Standing]:
    """Return the standing of each person (by id) in each round (by id), in four queries."""
    asked, persons = list(rounds), list(people)
    events: dict[tuple[int, int], list[QualifyingEvent]] = defaultdict(list)
    for event in QualifyingEvent.objects.filter(round__in=asked, annotator__in=persons):
        events[event.round_id, event.annotator_id].append(event)
    places = RoundItem.objects.filter(round__in=asked, item__excluded="")
    there: dict[int, dict[int, str]] = defaultdict(dict)
    for place, item, state in places.values_list("round", "item", "state"):
        there[place][item] = state
    given = Annotation.objects.filter(
        round__in=asked, annotator__in=persons, withdrawn_at__isnull=True
    ).exclude(answer=Answer.SKIP)
    answered = Counter(given.values_list("round", "annotator"))
    found = {}
    for row in asked:
        for person in persons:
            key = (row.pk, person.pk)
            begun = Standing(row, person, events[key], answered[key])
            found[key] = replace(begun, items=len(_of_attempt(there[row.pk], begun.drawn)))
    return found


def _of_attempt(states: Mapping[int, str], drawn: Iterable[int]) -> list[int]:
    """Return the items (by id) of an attempt: those drawn for it, else those not added later."""
    first = [item for item, state in states.items() if state != RoundItemState.GOLD]
    return [item for item in drawn if item in states] or first


def drawn_for(asking: Round, annotator: Annotator) -> list[int]:
    """Return the items (by id) that were drawn for somebody's further attempt, if any were."""
    again = QualifyingEvent.objects.filter(
        round=asking, annotator=annotator, act=QualifyingAct.AGAIN
    )
    return again.order_by("-pk").values_list("items", flat=True).first() or []


def left_for(rounds: Iterable[Round], user: User) -> dict[int, int]:
    """Return by qualification (by id) how many items wait for somebody who began."""
    asked = [row for row in rounds if row.kind == RoundKind.QUALIFY]
    people = Annotator.objects.filter(user=user, dataset__in={row.dataset_id for row in asked})
    mine = {row.dataset_id: row for row in people} if asked else {}
    found = _standings(asked, mine.values()) if mine else {}
    return {
        row.pk: found[row.pk, mine[row.dataset_id].pk].left
        for row in asked
        if row.dataset_id in mine
    }


def fresh_for(asking: Round, annotator: Annotator) -> list[tuple[int, int]]:
    """Return items (by id) with known classes that tell something new in a further attempt.

    Not those of the first attempt, nor any that the person has answered or confirmed.
    """
    first = RoundItem.objects.filter(round=asking).exclude(state=RoundItemState.GOLD)
    met = Annotation.objects.filter(annotator=annotator, item=OuterRef("item"))
    rows = usable(asking.dataset).exclude(item__in=first.values("item")).filter(~Exists(met))
    if annotator.user_id:
        rows = rows.exclude(made_by=annotator.user_id)
    return list(rows.order_by("pk").values_list("item", "label"))


def bar_of(asking: Round, annotator: Annotator) -> Round | None:
    """Return the qualification that an annotator has to pass before this round, if any."""
    if asking.requires_id is None:
        return None
    required = Round.objects.get(pk=asking.requires_id)
    required.dataset = asking.dataset
    return None if standing_in(required, annotator).qualifies else required


def words_of(required: Round) -> str:
    """Say what has to be passed."""
    return gettext("first pass “%(name)s”: %(mark)s %% of its items right") % {
        "name": required.name,
        "mark": required.pass_mark,
    }


# ---- answers and their feedback ----


def measured(asking: Round, annotator: Annotator) -> tuple[int, int, int]:
    """Return how many items with a known answer there are, were answered, and rightly."""
    places = RoundItem.objects.filter(round=asking, item__excluded="")
    asked = _of_attempt(dict(places.values_list("item", "state")), drawn_for(asking, annotator))
    gold = GoldItem.objects.filter(item__in=asked, retired_at__isnull=True)
    known = dict(gold.values_list("item", "label"))
    said = dict(
        answers_of(asking)
        .filter(annotator=annotator, item__in=known)
        .values_list("item", Coalesce("label__merged_into", "label"))
    )
    return len(known), len(said), sum(known[item] == label for item, label in said.items())


def answers_of(asking: Round) -> QuerySet[Annotation]:
    """Return the answers of the attempts at hand."""
    rows = Annotation.objects.filter(round=asking, withdrawn_at__isnull=True)
    return rows.exclude(answer=Answer.SKIP)
