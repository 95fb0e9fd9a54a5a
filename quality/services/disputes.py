"""What a lead does about a disputed item: decide, exclude or ask others; undo is in selection.

Where a second reviewer is asked, a test item waits as a proposal that names its place (`PLACE`);
its dispute stays open meanwhile, and is put off.
"""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.models import Item, LabelClass, Membership, RoundItem, RoundKind, User
from labeling.queries.disputes import adjudicate_round, open_disputes
from labeling.services import rounds, settling
from quality.models import Action, Decision, Proposal
from quality.queries.second import PLACE, places_proposed
from quality.services import plans, proposing
from quality.services.decisions import LONGEST_SECONDS
from quality.services.plans import Plan, state_of
from quality.services.selection import NothingToChangeError, TestItemsError

ADJUDICATORS = ("owner", "lead", "reviewer")


@transaction.atomic
def decide(
    place: RoundItem, *, label: LabelClass, by: User, seconds: float, test_confirmed: bool = False
) -> Decision | Proposal:
    """Give the item a label, or confirm the one it has: the dispute is over."""
    item = _held(place)
    plan = Plan(relabel={item.pk: label})
    if _asks_second(plan, item, place, confirmed=test_confirmed):
        return _propose(plan, item, Action.RELABEL, place, by=by, seconds=seconds)
    return _relabel(plan, item, place, by=by, seconds=seconds)


@transaction.atomic
def exclude(
    place: RoundItem, *, reason: str, by: User, seconds: float, test_confirmed: bool = False
) -> Decision | Proposal:
    """Leave the item out of later versions."""
    item = _held(place)
    plan = Plan(exclude={item.pk: reason.strip() or _("people disagree about it")})
    if _asks_second(plan, item, place, confirmed=test_confirmed):
        return _propose(plan, item, Action.EXCLUDE, place, by=by, seconds=seconds)
    return _exclude(plan, item, by=by, seconds=seconds)


@transaction.atomic
def carry_out(proposal: Proposal, *, seconds: float = 0.0) -> Decision:
    """Do what was proposed about a disputed item, in the first one's name."""
    found = RoundItem.objects.select_related("round__dataset")
    place = found.filter(pk=proposal.choice[PLACE]).first()
    pairs = proposing.held(proposal)
    if place is None or not pairs:
        raise NothingToChangeError(_("The item was changed since."))
    item = _held(place)
    classes = {label.pk: label for label in proposal.dataset.classes.filter(retired_at=None)}
    try:
        plan = Plan.between(pairs, classes=classes)
    except KeyError as gone:
        raise NothingToChangeError(_("The class is no longer in use.")) from gone
    told: Any = {"by": proposal.by, "seconds": proposal.seconds + seconds, "proposal": proposal}
    if proposal.action == Action.EXCLUDE:
        return _exclude(plan, item, **told)
    return _relabel(plan, item, place, **told)


@transaction.atomic
def send_on(place: RoundItem, *, by: User, seconds: float) -> Decision:
    """Ask those who may review, in an adjudicate round."""
    item = _held(place)
    asking = adjudicate_round(place)
    if asking is None:
        people = Membership.objects.filter(dataset=item.dataset_id, role__in=ADJUDICATORS)
        try:
            asking = rounds.make_round(
                dataset=place.round.dataset,
                name=_("Disputed items"),
                kind=RoundKind.ADJUDICATE,
                items=[item.pk],
                answers_wanted=1,
                people=[row.user for row in people.select_related("user")],
                purpose="disputes",
                by=by,
            )
        except rounds.NothingToAskError as nothing:
            raise NothingToChangeError(str(nothing)) from nothing
    else:
        rounds.extend_round(asking=asking, items=[item.pk], answers_wanted=1)
    more = {"round": asking.pk}
    return _carry_out(Plan(), item, Action.ROUND, by=by, seconds=seconds, more=more)


def _held(place: RoundItem) -> Item:
    """Lock the item, and refuse when somebody decided meanwhile."""
    rows = Item.objects.select_for_update(of=("self",)).select_related("label")
    item = rows.get(pk=place.item_id)
    if not open_disputes(place.round.dataset).filter(pk=place.pk).exists():
        raise NothingToChangeError(_("This was decided meanwhile."))
    return item


def _asks_second(plan: Plan, item: Item, place: RoundItem, *, confirmed: bool) -> bool:
    """Whether somebody else has to agree; refuses while that is waited for, or not confirmed."""
    if place.pk in places_proposed(place.round.dataset):
        raise NothingToChangeError(_("This waits for a second reviewer already."))
    if not plan.touches_test([item]):
        return False
    if not confirmed:
        raise TestItemsError(1)
    return place.round.dataset.has_second_reviewer


def _propose(
    plan: Plan, item: Item, action: Action, place: RoundItem, *, by: User, seconds: float
) -> Proposal:
    return proposing.propose(
        dataset=place.round.dataset,
        by=by,
        action=action,
        before=[state_of(item)],
        after=plan.foretold([item]),
        seconds=seconds,
        choice={PLACE: place.pk},
    )


def _relabel(plan: Plan, item: Item, place: RoundItem, **told: Any) -> Decision:
    settling.settle_dispute(place=place.pk)
    return _carry_out(plan, item, Action.RELABEL, more={PLACE: place.pk}, **told)


def _exclude(plan: Plan, item: Item, **told: Any) -> Decision:
    return _carry_out(plan, item, Action.EXCLUDE, more={}, **told)


def _carry_out(
    plan: Plan,
    item: Item,
    action: Action,
    *,
    by: User | None,
    seconds: float,
    more: dict[str, Any],
    proposal: Proposal | None = None,
) -> Decision:
    before, touches_test = state_of(item), plan.touches_test([item])
    plans.carry_out(plan, by=by, reason="dispute")
    now = Item.objects.select_related("label").get(pk=item.pk)
    return Decision.objects.create(
        dataset_id=item.dataset_id,
        by=by,
        action=action,
        seconds=min(LONGEST_SECONDS, max(0.0, seconds)),
        before=[before],
        after=[state_of(now) | more],
        touches_test=touches_test,
        proposal=proposal,
    )
