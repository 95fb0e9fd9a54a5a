"""Decisions: one append-only row for what a person did about a flag; undo is its inverse row.

A conditional update of the flag is the lock: of two reviewers exactly one decides.
"""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.models import Item, LabelClass, Membership, Round, RoundKind, Split, User
from labeling.services import rounds
from quality.detectors import KINDS
from quality.models import (
    Action,
    Bulk,
    Decision,
    Flag,
    FlagItem,
    FlagState,
    Proposal,
    ProposalState,
)
from quality.services import class_splits, plans
from quality.services.plans import STATE, Plan, state_of

PEOPLE_ASKED = 3  # answers wanted when a doubt goes to a round: the least odd number above one
LONGEST_SECONDS = 600.0  # longer than this nobody looked at one flag all the time


class FlagClosedError(Exception):
    """Somebody else decided the flag, or what it was about has changed."""


class TouchesTestError(Exception):
    """The decision would change test items and was not confirmed."""


class SecondNeededError(TouchesTestError):
    """The decision takes effect only once a second reviewer agrees (`services/second.py`)."""


class DecisionRefusedError(Exception):
    """The action does not suit the flag; the words say why."""


class UndoRefusedError(Exception):
    """The decision cannot be taken back; the words say why."""


@transaction.atomic
def decide_flag(
    *,
    flag: Flag,
    reviewer: User | None,
    action: Action | str,
    seconds: float = 0.0,
    label: LabelClass | None = None,
    keep: int | None = None,
    split: str = "",
    reason: str = "",
    new_class: str = "",
    rule: str = "",
    test_confirmed: bool = False,
    bulk: Bulk | None = None,
    proposal: Proposal | None = None,
) -> Decision:
    """Close an open flag and carry the decision out.

    `proposal` is what a second reviewer answered to, where the dataset asks for one.

    `label` is for relabel, `keep` (id of an item) for merge, `split` for move, `reason` for
    exclude, `new_class` (a name) and `rule` (a line more of the guideline) for split; what is
    not given follows the flag's proposal.
    """
    state = FlagState.DISMISSED if action == Action.KEEP else FlagState.DECIDED
    still_open = Flag.objects.filter(pk=flag.pk, state=FlagState.OPEN)
    if not still_open.update(state=state):
        raise FlagClosedError(_closed_by(flag, reviewer))
    items = still_doubted(flag, _items(flag))
    _check_unchanged(flag, items)
    made: dict[str, Any] = {}
    if action == Action.SPLIT:
        label, made = _split_off(flag, new_class)
    plan = plan_for(flag, items, action=action, label=label, keep=keep, split=split, reason=reason)
    touches_test = plan.touches_test(items)
    if touches_test and not test_confirmed:
        raise TouchesTestError(_("This changes test items. Confirm that you want it."))
    if touches_test and proposal is None and flag.dataset.has_second_reviewer:
        raise SecondNeededError(_("This changes test items: a second reviewer is asked."))
    before = [state_of(item) for item in items]
    told = str(KINDS[flag.kind].title).lower()
    plans.carry_out(plan, by=reviewer, reason=f"review: {told}")
    asked = _ask(flag, plan.ask, by=reviewer) if plan.ask else {}
    if label and action == Action.SPLIT:
        made |= class_splits.write_rule(flag, label, rule, by=reviewer)
    touched = {item.pk for item in items}
    return Decision.objects.create(
        dataset=flag.dataset,
        flag=flag,
        by=reviewer,
        action=action,
        seconds=min(LONGEST_SECONDS, max(0.0, seconds)),
        before=before,
        after=[state_of(item) | asked | made for item in _items(flag) if item.pk in touched],
        touches_test=touches_test,
        bulk=bulk,
        proposal=proposal,
    )


def _split_off(flag: Flag, name: str) -> tuple[LabelClass, dict[str, Any]]:
    try:
        return class_splits.class_named(flag, name)
    except class_splits.NameRefusedError as refusal:
        raise DecisionRefusedError(str(refusal)) from refusal


def plan_for(
    flag: Flag,
    items: Sequence[Item],
    *,
    action: Action | str,
    label: LabelClass | None = None,
    keep: int | None = None,
    split: str = "",
    reason: str = "",
) -> Plan:
    """Return what an action would change, or refuse it in words. Changes nothing."""
    if action not in KINDS[flag.kind].actions:
        raise DecisionRefusedError(_("This cannot be done about such a flag."))
    if not items and KINDS[flag.kind].about not in ("column", "split", "part"):
        raise FlagClosedError(_("The items of this flag are gone."))
    if action == Action.SPLIT:
        return Plan(relabel={item.pk: label for item in items} if label else {})
    if action == Action.RELABEL:
        return Plan(relabel=_relabelling(flag, items, label))
    if action == Action.EXCLUDE:
        return Plan(exclude=_exclusions(flag, items, reason))
    if action == Action.MERGE:
        return Plan(exclude=_merging(flag, items, keep))
    if action == Action.MOVE:
        return Plan(move=_moves(items, split))
    if action == Action.ROUND:
        return Plan(ask=[item.pk for item in items])
    return Plan()


def _relabelling(
    flag: Flag, items: Sequence[Item], label: LabelClass | None
) -> dict[int, LabelClass]:
    chosen = label
    if chosen is None and "apart" not in flag.evidence:
        chosen = flag.dataset.classes.filter(name=flag.suggested).first()
    if chosen is None or chosen.dataset_id != flag.dataset_id or chosen.retired_at:
        raise DecisionRefusedError(_("Choose a class of this dataset."))
    return {item.pk: chosen for item in items}


def _exclusions(flag: Flag, items: Sequence[Item], reason: str) -> dict[int, str]:
    group = flag.evidence.get("group")
    if group is not None:  # a source in two splits: test stays, what it could leak into goes
        kept = Split.TEST if any(item.split == Split.TEST for item in items) else Split.TRAIN
        told = reason or _("source %(group)s is in %(split)s too") % {"group": group, "split": kept}
        return {item.pk: told for item in items if item.split != kept}
    return {item.pk: reason or str(KINDS[flag.kind].title).lower() for item in items}


def _merging(flag: Flag, items: Sequence[Item], keep: int | None) -> dict[int, str]:
    """Keep one copy; a test copy is never taken out for one that is not in test."""
    if len(items) < 2:
        raise DecisionRefusedError(_("There is only one copy left."))
    in_test = [item for item in items if item.split == Split.TEST]
    proposed = proposed_keep(flag, items) if keep is None else keep
    kept = next((item for item in items if item.pk == proposed), None)
    if kept is None:
        raise DecisionRefusedError(_("The copy to keep is not one of these."))
    if in_test and kept.split != Split.TEST:
        raise DecisionRefusedError(
            _("The test copy stays, so that scores before and after remain comparable.")
        )
    told = _("copy of %(key)s") % {"key": kept.key}
    is_across = len(in_test) < len(items) and bool(in_test)
    stays = {item.pk for item in in_test} if is_across else {kept.pk}
    return {item.pk: told for item in items if item.pk not in stays}


def proposed_keep(flag: Flag, items: Sequence[Item]) -> int:
    """Return the copy that the check proposes to keep; the test copy where splits changed."""
    roles = dict(flag.flag_items.values_list("item_id", "role"))
    in_test = [item for item in items if item.split == Split.TEST]
    marked = [item for item in items if roles.get(item.pk) == "keep"]
    best = [item for item in marked if not in_test or item.split == Split.TEST]
    return (best or in_test or marked or list(items))[0].pk


def _moves(items: Sequence[Item], split: str) -> dict[int, str]:
    splits = {item.split for item in items}
    if len(items) == 1:
        target = split or Split.NONE
    else:
        target = split or (Split.TEST if Split.TEST in splits else Split.TRAIN)
    if target not in Split.values:
        raise DecisionRefusedError(_("There is no such split."))
    moved: dict[int, str] = {item.pk: target for item in items if item.split != target}
    if not moved:
        raise DecisionRefusedError(_("Nothing would move: it is there already."))
    return moved


def _items(flag: Flag) -> list[Item]:
    """Return what a decision is about; examples only illustrate it."""
    doubted = FlagItem.objects.filter(flag=flag).exclude(role="example").values("item")
    rows = Item.objects.select_for_update(of=("self",)).filter(pk__in=doubted)
    return list(rows.select_related("label").order_by("key"))


def still_doubted(flag: Flag, items: Sequence[Item]) -> list[Item]:
    """Leave out of a group what was settled one by one since the check."""
    if KINDS[flag.kind].about not in ("class", "slice"):
        return list(items)
    there = [item for item in items if not item.excluded]
    if not flag.given:
        return there
    return [item for item in there if item.label and item.label.name == flag.given]


def _check_unchanged(flag: Flag, items: Sequence[Item]) -> None:
    for item in items:
        name = item.label.name if item.label else ""
        if item.excluded:
            raise FlagClosedError(_("%(key)s was taken out meanwhile.") % {"key": item.key})
        if flag.given and name != flag.given:
            told = {"key": item.key, "label": name or _("no label")}
            raise FlagClosedError(_("The label of %(key)s is %(label)s by now.") % told)


def people_asked(flag: Flag) -> int:
    """Return how many answers a round about this flag wants: no more than there are members."""
    members = Membership.objects.filter(dataset=flag.dataset_id).count()
    return max(1, min(PEOPLE_ASKED, members))


def _ask(flag: Flag, items: Sequence[int], *, by: User | None) -> dict[str, Any]:
    """Put items into the open round of this kind of doubt; makes it when there is none."""
    title = str(KINDS[flag.kind].title).lower()
    purpose = _("asked from the queue “%(title)s”") % {"title": title}
    there = Round.objects.filter(dataset=flag.dataset_id, purpose=purpose, closed_at__isnull=True)
    asking = there.select_for_update(no_key=True, of=("self",)).first()  # an undo may take it away
    wanted = people_asked(flag)
    if asking:
        asked = rounds.extend_round(asking=asking, items=items, answers_wanted=wanted)
        return {"round": asking.pk, "asked": asked}
    try:
        made = rounds.make_round(
            dataset=flag.dataset,
            name=_("In doubt: %(title)s") % {"title": title},
            kind=RoundKind.VERIFY if flag.given else RoundKind.CLASSIFY,
            items=items,
            answers_wanted=wanted,
            purpose=purpose,
            by=by,
        )
    except rounds.NothingToAskError as nothing:
        raise DecisionRefusedError(str(nothing)) from nothing
    return {"round": made.pk, "asked": list(items)}


def _closed_by(flag: Flag, reviewer: User | None) -> str:
    if flag.proposals.filter(state=ProposalState.WAITING).exists():
        return _("This waits for a second reviewer.")
    newest = flag.decisions.order_by("-pk").first()
    if newest and reviewer and newest.by_id == reviewer.pk:
        return _("You decided this in another tab.")
    return _("A colleague has decided this already.")


@transaction.atomic
def undo_decision(
    *, decision: Decision, reviewer: User | None, agreed: Proposal | None = None
) -> Decision:
    """Restore what a decision changed and open its flag again: another row, its inverse.

    `agreed` is what a second reviewer answered to, where the dataset asks for one.
    """
    if decision.touches_test and decision.dataset.has_second_reviewer and agreed is None:
        raise SecondNeededError(_("This changes test items: a second reviewer is asked."))
    if decision.undoes_id is not None:
        raise UndoRefusedError(_("An undo is not undone: decide the flag again."))
    flag = decision.flag
    if flag is None:
        raise UndoRefusedError(_("The flag of this decision is gone."))
    closed = Flag.objects.filter(pk=flag.pk, state__in=(FlagState.DECIDED, FlagState.DISMISSED))
    newer = flag.decisions.filter(pk__gt=decision.pk, undoes__isnull=True)
    if newer.exists() or not closed.update(state=FlagState.GONE):
        raise UndoRefusedError(_("This decision was undone already."))
    items = _items(flag)
    _check_restorable(decision, items)
    touched = {state["item"] for state in decision.after}
    plans.restore(decision.before, by=reviewer, reason="undo of a review decision")
    _stop_asking(decision)
    class_splits.take_back(decision, by=reviewer)
    reopen(flag)
    return Decision.objects.create(
        dataset_id=decision.dataset_id,
        flag=flag,
        by=reviewer,
        action=Action.UNDO,
        before=decision.after,
        after=[state_of(item) for item in _items(flag) if item.pk in touched],
        touches_test=decision.touches_test,
        undoes=decision,
        proposal=agreed if agreed and agreed.action == Action.UNDO else None,
    )


def _check_restorable(decision: Decision, items: Sequence[Item]) -> None:
    """Refuse when something newer changed an item: undoing would overwrite it."""
    there = {item.pk: state_of(item) for item in items}
    for after in decision.after:
        now = there.get(after["item"])
        if now is None:
            raise UndoRefusedError(_("%(key)s is no longer there.") % {"key": after["key"]})
        changed = [name for name in STATE if now[name] != after[name]]
        if changed:
            raise UndoRefusedError(
                _("%(key)s was changed again since (%(what)s is “%(now)s” now). Change it there.")
                % {"key": after["key"], "what": _words(changed[0]), "now": _shown(now, changed[0])}
            )


def _words(name: str) -> str:
    words = {"split": _("its split"), "excluded": _("the reason it is excluded for")}
    return words.get(name, _("its label"))


def _shown(state: dict[str, Any], name: str) -> str:
    shown = state["label"] if name.startswith("label") else state[name]
    return shown or _("none")


def _stop_asking(decision: Decision) -> None:
    asked = next((state for state in decision.after if "round" in state), None)
    asking = Round.objects.filter(pk=asked["round"]).first() if asked else None
    if asked is None or asking is None or not asked["asked"]:
        return
    if not rounds.take_out_items(asking=asking, items=asked["asked"]):
        raise UndoRefusedError(_("People are answering this in a round already; let them finish."))


def reopen(flag: Flag) -> None:
    """Open the flag again; one raised meanwhile about the same subject gives way."""
    Flag.objects.filter(
        dataset=flag.dataset_id, kind=flag.kind, subject=flag.subject, state=FlagState.OPEN
    ).update(state=FlagState.GONE)
    Flag.objects.filter(pk=flag.pk).update(state=FlagState.OPEN)
    flag.state = FlagState.OPEN
