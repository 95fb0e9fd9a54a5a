"""Rounds: made, closed, and their items handed out, kept and given back.

A place of an item is taken by a conditional update of `taken`; whoever deletes the claim
row gives the place back, in the same transaction. So a place is never held twice and
never given back twice, whichever of answer, expiry and release comes first.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q, QuerySet

from labeling.models import (
    NO_LIMIT,
    Annotation,
    Annotator,
    Claim,
    Dataset,
    Item,
    Round,
    RoundItem,
    RoundKind,
    RoundOrder,
    Suggesting,
    User,
)
from labeling.queries import gold as gold_queries
from labeling.queries import guards, guidelines, qualifications
from labeling.queries import places as queries
from labeling.queries.by_hand import can_lock, execute, identity, listed, moment, written
from labeling.queries.rounds import all_excluded, excluded_of
from labeling.services import gold
from labeling.services.jobs import Refused, refuse_archived

LEASE = timedelta(minutes=5)  # renewed every minute by the page that holds the claim
SILENT = timedelta(seconds=90)  # a page renews its claims each minute; longer, and it is gone
MOST_CLAIMS_AT_ONCE = 20  # items; a page holds 5, a program may ask for more
ROWS_A_STATEMENT = 2_000
CLAIMS_A_TRANSACTION = 200
CHANCE = random.SystemRandom()
LOCK = "SELECT id FROM labeling_annotator WHERE id = %(annotator)s FOR NO KEY UPDATE"
TAKE = """
UPDATE labeling_rounditem SET taken = taken + 1
WHERE id IN (<ids>) AND state IN ('open', 'gold') AND taken < wanted
RETURNING id
"""
CLAIM = """
INSERT INTO labeling_claim (round_item_id, annotator_id, expires_at, created_at, client_id)
VALUES <rows>
"""


class NothingToAskError(Exception):
    """None of the items named can be asked about in this kind of round."""


@transaction.atomic
def make_round(
    *,
    dataset: Dataset,
    name: str,
    kind: str,
    items: Sequence[int],
    answers_wanted: int,
    people: Iterable[User] = (),
    purpose: str = "",
    suggesting: str = Suggesting.OFF,
    gold_every: int = 0,
    confident: float = 0.0,
    answers_least: int = 1,
    order: str = RoundOrder.FIXED,
    by: User | None = None,
    deadline: datetime | None = None,
    price: Decimal | None = None,
    requires: Round | None = None,
    pass_mark: int = 80,
    attempts: int = 1,
    wording: Mapping[str, str] | None = None,
    beside: Round | None = None,
    counts: bool = True,
) -> Round:
    """Ask about these items (by id), in this order; nobody named means every member.

    Excluded items are left out, and in a verify round those without a label to verify; examples
    of the guideline, too, whose answer people read there. One
    item in `gold_every` that people are given is a gold one instead: nobody need say what is known.
    """
    _refuse_archived(dataset)
    asked = _that_can_be_asked(dataset, items, kind=kind, has_gold=bool(gold_every))
    made = Round.objects.create(
        dataset=dataset,
        name=name,
        kind=kind,
        purpose=purpose,
        suggesting=suggesting,
        gold_every=gold_every,
        confident=confident,
        answers_least=answers_least,
        order=order,
        answers_wanted=answers_wanted,
        guideline=dataset.guidelines.first(),
        deadline=deadline,
        price=price,
        counts=counts and kind not in (RoundKind.QUALIFY, RoundKind.PILOT),
        wording=dict(wording or {}),
        beside=beside,
        requires=requires,
        pass_mark=pass_mark,
        attempts=attempts,
        created_by=by,
    )
    wanted = NO_LIMIT if kind == RoundKind.QUALIFY else made.wanted_first  # everybody answers all
    made.people.set(people)
    _place(made, asked, start=0, wanted=wanted)
    return made


def _that_can_be_asked(
    dataset: Dataset, items: Sequence[int], *, kind: str, has_gold: bool
) -> list[int]:
    """Return these items in their order, each once, less those that nobody is asked about."""
    usable = Item.objects.filter(dataset=dataset, excluded="")
    if kind == RoundKind.VERIFY:
        usable = usable.filter(label__isnull=False)
    if has_gold:
        usable = usable.exclude(pk__in=gold_queries.known(dataset).values("item"))
    there = set(usable.values_list("pk", flat=True))
    if kind != RoundKind.ADJUDICATE:
        there -= guidelines.example_items(dataset)
    asked = [pk for pk in dict.fromkeys(items) if pk in there]
    if not asked:
        raise NothingToAskError(
            all_excluded(dataset, items)
            or "None of these items can be asked about. Where every item has a label, ask about "
            "all, or about those with keys; excluded items and examples are never asked about."
        )
    return asked


def _refuse_archived(dataset: Dataset) -> None:
    """Ask nobody about a dataset that its owner archived.

    The lock makes an archiving at the same moment wait, and close what opens here.
    """
    list(Dataset.objects.select_for_update(no_key=True).filter(pk=dataset.pk).values("pk"))
    try:
        refuse_archived(dataset)
    except Refused as refusal:
        raise NothingToAskError(str(refusal)) from None


@transaction.atomic
def extend_round(*, asking: Round, items: Sequence[int], answers_wanted: int) -> list[int]:
    """Ask about further items (by id) at the end of a round; returns those that are new to it.

    A pilot asks about them under both wordings; a qualification stays the same for everybody.
    Excluded items are left out, and refused where there is nothing else.
    """
    if refusal := all_excluded(asking.dataset, items):
        raise NothingToAskError(refusal)
    if asking.kind == RoundKind.QUALIFY:
        return []
    if asking.kind == RoundKind.PILOT:
        first = asking.beside or asking
        for other in Round.objects.filter(Q(pk=first.pk) | Q(beside=first)).exclude(pk=asking.pk):
            _add_items(other, items, answers_wanted)
    return _add_items(asking, items, answers_wanted)


def _add_items(asking: Round, items: Sequence[int], answers_wanted: int) -> list[int]:
    there = RoundItem.objects.filter(round=asking)
    known = set(there.values_list("item_id", flat=True)) | guidelines.example_items(asking.dataset)
    last = there.order_by("-position").values_list("position", flat=True).first()
    start = 0 if last is None else last + 1
    has_own = asking.confident or asking.is_learning
    wanted = asking.wanted_first if has_own else answers_wanted
    known |= excluded_of(asking.dataset, items)
    fresh = [pk for pk in dict.fromkeys(items) if pk not in known]
    _place(asking, fresh, start=start, wanted=wanted)
    return fresh


def _place(asking: Round, items: Sequence[int], *, start: int, wanted: int) -> None:
    """Give items (by id) places in a round, in their order."""
    RoundItem.objects.bulk_create(
        [
            RoundItem(
                round=asking, item_id=pk, position=start + place, wanted=wanted, is_random=is_random
            )
            for place, (pk, is_random) in enumerate(_drawn(asking, items))
        ],
        batch_size=ROWS_A_STATEMENT,
    )


def _drawn(asking: Round, items: Sequence[int]) -> list[tuple[int, bool]]:
    """Draw by lot the items (by id) that a learning order leaves in the order of chance."""
    if not asking.is_learning:
        return [(pk, False) for pk in items]
    from mlcore.active import RANDOM_EVERY

    drawn = set(CHANCE.sample(list(items), -(-len(items) // RANDOM_EVERY)))
    return [(pk, pk in drawn) for pk in items]


@transaction.atomic
def take_out_items(*, asking: Round, items: Iterable[int]) -> bool:
    """Ask no longer about these items (by id); False when somebody has or answered one.

    A round that is empty then, and in which nobody ever said anything, goes with them.
    """
    wanted = list(items)
    same = Round.objects.select_for_update(of=("self",)).filter(pk=asking.pk)
    list(same.values("pk"))  # whoever adds items meanwhile locks it, too
    rows = RoundItem.objects.select_for_update().filter(round=asking, item__in=wanted)
    is_taken = any(row.taken for row in rows)
    if is_taken or Annotation.objects.filter(round=asking, item__in=wanted).exists():
        return False
    rows.delete()
    same.filter(round_items=None, annotations=None, questions=None).delete()
    return True


def close_round(*, asking: Round, now: datetime) -> None:
    """Hand out nothing more; answers that are under way still arrive and count."""
    Round.objects.filter(pk=asking.pk, closed_at__isnull=True).update(closed_at=now)


@transaction.atomic
def reopen_round(*, asking: Round) -> None:
    """Hand out what is left again; not of an archived dataset, whose rounds rest with it."""
    _refuse_archived(asking.dataset)
    Round.objects.filter(pk=asking.pk).update(closed_at=None)


def set_deadline(*, asking: Round, deadline: datetime) -> None:
    """Let people take until then."""
    Round.objects.filter(pk=asking.pk).update(deadline=deadline)


@transaction.atomic
def claim_items(
    *,
    round: Round,
    annotator: Annotator,
    count: int,
    now: datetime,
    client_id: UUID | None = None,
    rng: random.Random = CHANCE,
) -> list[RoundItem]:
    """Reserve up to `count` items that this annotator has not answered and does not hold.

    Gold items are among them by chance, in any place: nothing tells them from the others.
    Whoever lost the reply asks again with the same `client_id`, and is given the same items.
    """
    lock_annotator(annotator)
    gone = now + LEASE - SILENT
    stands = queries.standing_in(round, annotator, gone=gone, client_id=client_id)
    if stands.is_stopped or qualifications.bar_of(round, annotator):
        return []
    count, is_qualifying = min(count, MOST_CLAIMS_AT_ONCE), round.kind == RoundKind.QUALIFY
    left: Any = {"now": now, "gone": gone, "client_id": client_id, "count": count}
    claimed = _taken_over(round, annotator, **left) if stands.may_have_left else []
    if len(claimed) < count:
        missing = count - len(claimed)
        among = qualifications.drawn_for(round, annotator) if is_qualifying else ()
        free = queries.free_places(round, annotator, last=stands.last, count=missing, among=among)
        checks = gold.take_places(round, annotator, of=missing, beside=len(free), rng=rng)
        taken = _take_places(free[: missing - len(checks)])
        for check in checks:
            taken.insert(rng.randrange(len(taken) + 1), check)
        _claim(taken, annotator, now=now, client_id=client_id)
        claimed += taken
    return queries.shown_places(round, claimed, annotator)


def lock_annotator(annotator: Annotator) -> None:
    """Let one claim, pause or return of a person happen after the other.

    One person may ask from many programs at once; each must see what the others were given.
    Whoever also locks places locks the person first, so that nobody waits in a circle.
    """
    if can_lock():
        execute(LOCK, {"annotator": annotator.pk})


def take_place(place: int) -> bool:
    """Count one more person on a place (by id), if it still wants one."""
    return bool(_take_places([place]))


def _take_places(places: Sequence[int]) -> list[int]:
    """Count one more person on each place (by id) that still wants one; returns those."""
    if not places:
        return []
    taken = {pk for (pk,) in execute(TAKE.replace("<ids>", listed(places)), {})}
    return [place for place in places if place in taken]


def _claim(
    places: Sequence[int], annotator: Annotator, *, now: datetime, client_id: UUID | None
) -> None:
    """Lease taken places (by id) to an annotator."""
    if not places:
        return
    row = "({}, %(annotator)s, %(ends)s, %(now)s, %(client_id)s)"
    rows = ", ".join(row.format(int(pk)) for pk in places)
    names = {"annotator": annotator.pk, "ends": moment(now + LEASE), "now": moment(now)}
    written(CLAIM.replace("<rows>", rows), {**names, "client_id": identity(client_id)})


def _taken_over(round: Round, annotator: Annotator, *, now: datetime, **left: Any) -> list[int]:
    """Renew this annotator's own claims that no page has: of a tab that is gone, a lost reply.

    Renewing locks the annotator as claiming does: what is found here is not renewed meanwhile.
    """
    places = queries.left_behind(round, annotator, now=now, **left)
    lease = {"expires_at": now + LEASE, "client_id": left["client_id"]}
    return [pk for pk in places if annotator.claims.filter(round_item=pk).update(**lease)]


@transaction.atomic
def renew_claims(
    *, round: Round, annotator: Annotator, items: Iterable[int], now: datetime
) -> list[int]:
    """Hold these items (by id) for another lease; returns those that are still held.

    Who is paused keeps what is before them for what is left of its lease, no longer.
    """
    lock_annotator(annotator)
    held = _claims(round, annotator, items)
    if guards.stop_of(annotator) is None:
        held.update(expires_at=now + LEASE)
    return list(held.values_list("round_item__item_id", flat=True))


def release_items(*, round: Round, annotator: Annotator, items: Iterable[int]) -> int:
    """Give back items (by id) that this annotator holds; returns how many."""
    return _free(list(_claims(round, annotator, items).values_list("pk", flat=True)))


def release_all(*, annotator: Annotator) -> int:
    """Give back all that this annotator holds, in every round; returns how many."""
    return _free(list(annotator.claims.values_list("pk", flat=True)))


def release_ahead(*, annotator: Annotator) -> int:
    """Give back what this annotator holds but the first of each round; returns how many.

    The first is what a page has on the screen: its answer may be on its way, and counts.
    """
    claims = list(annotator.claims.order_by("pk").values_list("pk", "round_item__round"))
    first: dict[int, int] = {}
    for pk, asking in claims:
        first.setdefault(asking, pk)
    return _free([pk for pk, asking in claims if first[asking] != pk])


def free_expired_claims(*, now: datetime) -> int:
    """Give back every place whose lease ran out; returns how many."""
    freed = 0
    while True:
        expired = Claim.objects.filter(expires_at__lt=now).order_by("expires_at")
        claims = list(expired.values_list("pk", flat=True)[:CLAIMS_A_TRANSACTION])
        if not claims:
            return freed
        freed += _free(claims, expired_before=now)


def _claims(round: Round, annotator: Annotator, items: Iterable[int]) -> QuerySet[Claim]:
    return Claim.objects.filter(
        annotator=annotator, round_item__round=round, round_item__item_id__in=list(items)
    )


@transaction.atomic
def _free(claims: Sequence[int], *, expired_before: datetime | None = None) -> int:
    """Delete claims and give their places back; a claim that is gone by now is not ours."""
    rows = RoundItem.objects.filter(claims__in=claims).order_by("pk")
    list(rows.select_for_update(of=("self",)))  # answers lock the same rows first
    live = Claim.objects.filter(pk__in=claims)
    if expired_before:
        live = live.filter(expires_at__lt=expired_before)  # a renewed one stays
    freed = 0
    for pk, row in live.values_list("pk", "round_item_id"):
        if Claim.objects.filter(pk=pk).delete()[0]:
            freed += RoundItem.objects.filter(pk=row).update(taken=F("taken") - 1)
    return freed
