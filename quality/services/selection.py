"""What people do to items they selected: one decision without a flag, and its undo.

Items of the test split change only when that was confirmed, and wait as one proposal where a
second reviewer is asked; what has changed since stays as it is when a decision is undone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.models import Dataset, Item, ItemTag, LabelClass, Round, Split, User
from labeling.services import merging, rounds, settling
from labeling.services.rows import insert_rows
from quality.models import Action, Decision, Flag, FlagState, Proposal, TestOpening
from quality.queries.filters import one_of
from quality.queries.mending import MENDED
from quality.queries.regression import PINNED
from quality.services import flags, plans, proposing
from quality.services.decisions import LONGEST_SECONDS, SecondNeededError
from quality.services.plans import (
    STATE,
    NothingToChangeError,
    Plan,
    state_of,
    state_with_content,
)


class TestItemsError(Exception):
    """Some of the items are test items and nobody confirmed that they change."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} test items would change")
        self.count = count


@dataclass(frozen=True)
class Selection:
    """Items of one dataset that somebody selected, and how long they looked."""

    dataset: Dataset
    items: Collection[int]
    by: User | None
    seconds: float = 0.0
    test_confirmed: bool = False
    without_test: bool = False
    proposal: Proposal | None = None  # what a second reviewer answered to

    @property
    def asks_second(self) -> bool:
        """Whether test items change only once somebody else agrees."""
        return self.dataset.has_second_reviewer and self.proposal is None

    def locked(self) -> list[Item]:
        """Return the items, held until the transaction ends."""
        rows = Item.objects.select_for_update(of=("self",)).filter(
            one_of("pk", self.items), dataset=self.dataset
        )
        if self.without_test:
            rows = rows.exclude(split=Split.TEST)
        return list(rows.select_related("label").order_by("key"))


@transaction.atomic
def relabel(selection: Selection, *, label: LabelClass) -> Decision | Proposal:
    """Give the items a label."""
    rows = selection.locked()
    plan = Plan(relabel={item.pk: label for item in rows if item.label_id != label.pk})
    return _change(selection, rows, plan=plan, action=Action.RELABEL)


@transaction.atomic
def exclude(selection: Selection, *, reason: str) -> Decision | Proposal:
    """Leave the items out of later versions."""
    rows = selection.locked()
    told = reason.strip() or _("no reason given")
    plan = Plan(exclude={item.pk: told for item in rows if not item.excluded})
    return _change(selection, rows, plan=plan, action=Action.EXCLUDE)


@transaction.atomic
def include(selection: Selection) -> Decision | Proposal:
    """Take excluded items back in."""
    rows = selection.locked()
    plan = Plan(exclude={item.pk: "" for item in rows if item.excluded and not item.withdrawn_at})
    return _change(selection, rows, plan=plan, action=Action.INCLUDE)


@transaction.atomic
def move(selection: Selection, *, split: str) -> Decision | Proposal:
    """Put the items into a split."""
    rows = selection.locked()
    plan = Plan(move={item.pk: split for item in rows if item.split != split})
    return _change(selection, rows, plan=plan, action=Action.MOVE)


@transaction.atomic
def mend(selection: Selection, *, splits: Mapping[int, str]) -> Decision | Proposal:
    """Put each item into the split that was proposed for it (by id): one decision, one undo."""
    rows = selection.locked()
    plan = Plan(move={item.pk: splits[item.pk] for item in rows if item.split != splits[item.pk]})
    return _change(selection, rows, plan=plan, action=Action.MOVE, told={MENDED: True})


@transaction.atomic
def carry_out(proposal: Proposal, *, seconds: float = 0.0) -> Decision:
    """Change what was proposed, of the items that are still as they were, in the first's name."""
    pairs = proposing.held(proposal)
    if not pairs:
        raise NothingToChangeError(_("All of these were changed since."))
    selection = Selection(
        proposal.dataset,
        [before["item"] for before, _after in pairs],
        by=proposal.by,
        seconds=proposal.seconds + seconds,
        test_confirmed=True,
        proposal=proposal,
    )
    classes = {label.pk: label for label in proposal.dataset.classes.filter(retired_at=None)}
    try:
        plan = Plan.between(pairs, classes=classes)
    except KeyError as gone:
        raise NothingToChangeError(_("The class is no longer in use.")) from gone
    action = Action(proposal.action)
    return _decide(selection, selection.locked(), plan=plan, action=action, told=proposal.choice)


def _change(
    selection: Selection,
    rows: Sequence[Item],
    *,
    plan: Plan,
    action: Action,
    told: dict[str, Any] | None = None,
) -> Decision | Proposal:
    """Decide, or propose it where test items change and a second reviewer is asked."""
    changed = [item for item in rows if plan.touches_test([item])]
    if not (changed and selection.test_confirmed and selection.asks_second):
        return _decide(selection, rows, plan=plan, action=action, told=told)
    wanted = [item for item in rows if item.pk in plan.items]
    return proposing.propose(
        dataset=selection.dataset,
        by=selection.by,
        action=action,
        before=[state_of(item) for item in wanted],
        after=plan.foretold(wanted),
        seconds=selection.seconds,
        choice=told,
    )


def _decide(
    selection: Selection,
    rows: Sequence[Item],
    *,
    plan: Plan,
    action: Action,
    told: dict[str, Any] | None,
) -> Decision:
    changed = [item for item in rows if item.pk in plan.items]
    if not changed:
        raise NothingToChangeError(_("All of these are like that already."))
    in_test = sum(plan.touches_test([item]) for item in changed)
    if in_test and not selection.test_confirmed:
        raise TestItemsError(in_test)
    before = [state_of(item) for item in changed]
    plans.carry_out(plan, by=selection.by, reason="browse")
    now = Item.objects.filter(one_of("pk", plan.items)).select_related("label").order_by("key")
    return _record(
        selection,
        action=action,
        before=before,
        after=[state_of(item) | (told or {}) for item in now],
        touches_test=bool(in_test),
    )


def _record(
    selection: Selection,
    *,
    action: Action,
    before: list[dict[str, Any]],
    after: list[dict[str, Any]],
    touches_test: bool = False,
) -> Decision:
    return Decision.objects.create(
        dataset=selection.dataset,
        by=selection.by,
        action=action,
        seconds=min(LONGEST_SECONDS, max(0.0, selection.seconds)),
        before=before,
        after=after,
        touches_test=touches_test,
        proposal=selection.proposal,
    )


@transaction.atomic
def tag(selection: Selection, *, name: str, told: dict[str, Any] | None = None) -> Decision:
    """Put a word on the items; `told` is kept with the decision."""
    word = " ".join(name.split())[:60]
    rows = selection.locked()
    tagged = set(ItemTag.objects.filter(name=word, item__in=rows).values_list("item_id", flat=True))
    fresh = [item for item in rows if item.pk not in tagged]
    if not fresh:
        raise NothingToChangeError(_("All of these have that tag already."))
    insert_rows([ItemTag(item_id=item.pk, name=word) for item in fresh])
    before = [state_of(item) for item in fresh]
    return _record(
        selection,
        action=Action.TAG,
        before=before,
        after=[{**state, "tag": word, **(told or {})} for state in before],
    )


@transaction.atomic
def pin(selection: Selection) -> Decision:
    """Put the items into the regression set, which every run tests again.

    Sealed test items stay out until test items of this dataset were opened: what is pinned is
    looked at after each run, and so would be they.
    """
    opened = TestOpening.objects.filter(dataset=selection.dataset).exists()
    sealed = 0 if opened else sum(item.split == Split.TEST for item in selection.locked())
    if sealed == len(selection.items):
        raise NothingToChangeError(_("Test items are sealed: pin them once they were opened."))
    open_ones = selection if opened else replace(selection, without_test=True)
    return tag(open_ones, name=PINNED, told={"sealed": sealed} if sealed else {})


@transaction.atomic
def unpin(selection: Selection) -> Decision:
    """Take the items out of the regression set."""
    rows = selection.locked()
    pinned = ItemTag.objects.filter(name=PINNED, item__in=rows)
    there = set(pinned.values_list("item_id", flat=True))
    if not there:
        raise NothingToChangeError(_("None of these is pinned."))
    pinned.delete()
    before = [state_of(item) for item in rows if item.pk in there]
    after = [{**state, "untagged": PINNED} for state in before]
    return _record(selection, action=Action.TAG, before=before, after=after)


@transaction.atomic
def flag(selection: Selection, *, note: str, by: User) -> Decision:
    """Open a flag with a note on each item; reviewers find them in a queue of their own."""
    rows = selection.locked()
    if not rows:
        raise NothingToChangeError(_("These items are no longer there."))
    opened = flags.flag_items(
        dataset=selection.dataset, items=[item.pk for item in rows], note=note, by=by
    )
    before = [state_of(item) for item in rows]
    return _record(
        selection,
        action=Action.FLAG,
        before=before,
        after=[{**state, "flag": opened.get(state["item"])} for state in before],
    )


@transaction.atomic
def ask(selection: Selection, *, name: str, kind: str, answers_wanted: int) -> Decision:
    """Make a round of the items."""
    rows = selection.locked()
    there = {item.pk for item in rows}
    try:
        made = rounds.make_round(
            dataset=selection.dataset,
            name=name,
            kind=kind,
            items=[pk for pk in selection.items if pk in there],
            answers_wanted=answers_wanted,
            purpose="browse",
            by=selection.by,
        )
    except rounds.NothingToAskError as nothing:
        raise NothingToChangeError(str(nothing)) from nothing
    before = [state_of(item) for item in rows]
    after = [{**state, "round": made.pk} for state in before]
    return _record(selection, action=Action.ROUND, before=before, after=after)


@dataclass(frozen=True)
class Undone:
    """What an undo restored, and how many items had changed since and stay as they are."""

    decision: Decision
    restored: int
    left: int


@transaction.atomic
def undo(decision: Decision, *, by: User | None, agreed: Proposal | None = None) -> Undone:
    """Take a decision about a selection back where nothing newer has changed the item.

    `agreed` is what a second reviewer answered to, where the dataset asks for one.
    """
    if decision.touches_test and decision.dataset.has_second_reviewer and agreed is None:
        raise SecondNeededError(_("This changes test items: a second reviewer is asked."))
    rows = Decision.objects.select_for_update().filter(pk=decision.pk, flag=None, undoes=None)
    if not list(rows) or Decision.objects.filter(undoes=decision).exists():
        raise NothingToChangeError(_("This was undone already."))
    is_cut = decision.action == Action.CUT
    told, names = (state_with_content, ("content",)) if is_cut else (state_of, STATE)
    found = Item.objects.filter(pk__in=[state["item"] for state in decision.before])
    there = found.select_for_update(of=("self",)).select_related("label").order_by("key")
    now = {item.pk: told(item) for item in there}
    pairs = [
        (before, after)
        for before, after in zip(decision.before, decision.after, strict=True)
        if before["item"] in now and all(now[before["item"]][name] == after[name] for name in names)
    ]
    _take_back(decision, pairs, by=by)
    again = found.filter(pk__in=[before["item"] for before, _after in pairs])
    row = Decision.objects.create(
        dataset_id=decision.dataset_id,
        by=by,
        action=Action.UNDO,
        before=[after for _before, after in pairs],
        after=[told(item) for item in again.select_related("label").order_by("key")],
        touches_test=decision.touches_test,
        undoes=decision,
        proposal=agreed if agreed and agreed.action == Action.UNDO else None,
    )
    return Undone(row, len(pairs), len(decision.before) - len(pairs))


State = dict[str, Any]


def _take_back(
    decision: Decision, pairs: Sequence[tuple[State, State]], *, by: User | None
) -> None:
    ids = [before["item"] for before, _after in pairs]
    if decision.action == Action.TAG and "untagged" in decision.after[0]:
        word = decision.after[0]["untagged"]
        insert_rows([ItemTag(item_id=pk, name=word) for pk in ids], ignore_conflicts=True)
    elif decision.action == Action.TAG:
        word = decision.after[0]["tag"]
        ItemTag.objects.filter(item__in=ids, name=word).delete()
    elif decision.action == Action.FLAG:
        opened = [after["flag"] for _before, after in pairs if after["flag"]]
        Flag.objects.filter(pk__in=opened, state=FlagState.OPEN).update(state=FlagState.GONE)
    elif decision.action == Action.ROUND:
        _take_round_back(decision)
    elif decision.action == Action.CUT:
        plans.restore_contents([before for before, _after in pairs])
    else:
        earlier = [before for before, _after in pairs]
        plans.restore(earlier, by=by, reason="undo in browse")
        if decision.action == Action.CLASSES:
            merging.split(dataset=decision.dataset, told=decision.after[0]["merge"], by=by)
        settling.dispute_again(places=[after["place"] for _, after in pairs if "place" in after])


def _take_round_back(decision: Decision) -> None:
    """Delete the round when nobody has begun it; people's work is never thrown away."""
    made = Round.objects.filter(pk=decision.after[0]["round"]).first()
    if made is None:
        return
    items = [state["item"] for state in decision.after]
    if not rounds.take_out_items(asking=made, items=items):
        raise NothingToChangeError(_("People are answering this round already; close it instead."))
