"""What a lead does about a disputed item: decide, exclude or ask others; undo is in selection."""

from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.models import Item, LabelClass, Membership, RoundItem, RoundKind, Split, User
from labeling.queries.disputes import adjudicate_round, open_disputes
from labeling.services import rounds
from quality.models import Action, Decision
from quality.services import plans
from quality.services.decisions import LONGEST_SECONDS
from quality.services.plans import Plan, state_of
from quality.services.selection import NothingToChangeError, TestItemsError

ADJUDICATORS = ("owner", "lead", "reviewer")


@transaction.atomic
def decide(
    place: RoundItem, *, label: LabelClass, by: User, seconds: float, test_confirmed: bool = False
) -> Decision:
    """Give the item a label, or confirm the one it has: the dispute is over."""
    item = _held(place)
    changes_test = item.split == Split.TEST and item.label_id != label.pk
    _demand(place, changes_test, test_confirmed)
    plan = Plan(relabel={item.pk: label})
    rounds.settle_dispute(place=place.pk)
    more = {"place": place.pk}
    return _carry_out(plan, item, Action.RELABEL, by, seconds, test=changes_test, more=more)


@transaction.atomic
def exclude(
    place: RoundItem, *, reason: str, by: User, seconds: float, test_confirmed: bool = False
) -> Decision:
    """Leave the item out of later versions."""
    item = _held(place)
    in_test = item.split == Split.TEST
    _demand(place, in_test, test_confirmed)
    plan = Plan(exclude={item.pk: reason.strip() or _("people disagree about it")})
    return _carry_out(plan, item, Action.EXCLUDE, by, seconds, test=in_test, more={})


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
    return _carry_out(Plan(), item, Action.ROUND, by, seconds, test=False, more=more)


def _held(place: RoundItem) -> Item:
    """Lock the item, and refuse when somebody decided meanwhile."""
    rows = Item.objects.select_for_update(of=("self",)).select_related("label")
    item = rows.get(pk=place.item_id)
    if not open_disputes(place.round.dataset).filter(pk=place.pk).exists():
        raise NothingToChangeError(_("This was decided meanwhile."))
    return item


def _demand(place: RoundItem, touches_test: bool, confirmed: bool) -> None:
    if touches_test and place.round.dataset.has_second_reviewer:
        raise NothingToChangeError(
            _("It is a test item, which nobody changes alone here: let others decide.")
        )
    if touches_test and not confirmed:
        raise TestItemsError(1)


def _carry_out(
    plan: Plan,
    item: Item,
    action: Action,
    by: User,
    seconds: float,
    *,
    test: bool,
    more: dict[str, Any],
) -> Decision:
    before = state_of(item)
    plans.carry_out(plan, by=by, reason="dispute")
    now = Item.objects.select_related("label").get(pk=item.pk)
    return Decision.objects.create(
        dataset_id=item.dataset_id,
        by=by,
        action=action,
        seconds=min(LONGEST_SECONDS, max(0.0, seconds)),
        before=[before],
        after=[state_of(now) | more],
        touches_test=test,
    )
