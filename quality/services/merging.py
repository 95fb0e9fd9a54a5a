"""Merging two classes is one decision about all items of the first; its undo is one more."""

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from labeling.models import Dataset, Item, LabelClass, User
from labeling.services import merging
from quality.models import Action, Decision, Flag, FlagState, Proposal
from quality.queries.browse import MOST_AT_ONCE
from quality.services import proposing
from quality.services.plans import Plan, state_of
from quality.services.selection import NothingToChangeError, TestItemsError


@transaction.atomic
def merge_classes(
    *,
    dataset: Dataset,
    old: LabelClass,
    new: LabelClass,
    text: str,
    by: User | None,
    test_confirmed: bool = False,
    proposal: Proposal | None = None,
) -> Decision | Proposal:
    """Make one class part of another, and publish the guideline that says so.

    Where test items change and a second reviewer is asked, it waits for them; `proposal` is
    what they answered to.
    Doubts that name the class are over; the next check raises what is still in doubt.
    """
    found = LabelClass.objects.select_for_update().filter(dataset=dataset, pk__in=(old.pk, new.pk))
    if len(found.filter(retired_at__isnull=True)) < 2:
        raise NothingToChangeError(_("Choose two different classes that are in use."))
    rows = Item.objects.select_for_update(of=("self",)).filter(label=old)
    items = list(rows.select_related("label").order_by("key")[: MOST_AT_ONCE + 1])
    if not items:
        raise NothingToChangeError(_("“%s” has no items: retire it instead.") % old.name)
    if len(items) > MOST_AT_ONCE:
        raise NothingToChangeError(_("Too many items would change for one decision."))
    plan = Plan(relabel={item.pk: new for item in items})
    in_test = sum(plan.touches_test([item]) for item in items)
    if in_test and not test_confirmed:
        raise TestItemsError(in_test)
    before = [state_of(item) for item in items]
    if in_test and dataset.has_second_reviewer and proposal is None:
        return proposing.propose(
            dataset=dataset,
            by=by,
            action=Action.CLASSES,
            before=before,
            after=plan.foretold(items),
            choice={"old": old.pk, "new": new.pk, "text": text},
        )
    told = merging.merge(old=old, new=new, items=items, text=text, by=by)
    about = Flag.objects.filter(dataset=dataset, state=FlagState.OPEN)
    about.filter(Q(given=old.name) | Q(suggested=old.name)).update(state=FlagState.GONE)
    now = {"label": new.name, "label_id": new.pk}
    after = [state | now for state in before]
    after[0]["merge"] = told
    return Decision.objects.create(
        dataset=dataset,
        by=by,
        action=Action.CLASSES,
        before=before,
        after=after,
        touches_test=bool(in_test),
        proposal=proposal,
    )
