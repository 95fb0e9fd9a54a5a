"""What a proposal does once it takes effect: a second reviewer agreed, or a lead settled it."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from labeling.models import Job, LabelClass, User
from quality.models import Action, Bulk, Decision, Flag, Proposal
from quality.queries.second import PLACE
from quality.services import bulk as many
from quality.services import cutting, decisions, disputes, merging, selection
from quality.services.decisions import LONGEST_SECONDS, DecisionRefusedError


@dataclass(frozen=True)
class Agreed:
    """What an agreement brought: the decision, or the job that makes many."""

    decision: Decision | None = None
    job: Job | None = None


def carry_out(proposal: Proposal, *, seconds: float = 0.0) -> Agreed:
    """Do what was proposed, in the name of who proposed it."""
    looked = min(LONGEST_SECONDS, max(0.0, seconds))
    if proposal.undoes:
        return Agreed(decision=undo(proposal.undoes, by=proposal.by, agreed=proposal))
    if proposal.flag:
        return Agreed(decision=_about_one(proposal, proposal.flag, looked))
    if proposal.bulk:
        return Agreed(job=_about_many(proposal, proposal.bulk))
    if not proposal.before:
        raise DecisionRefusedError(_("The flag of this is gone."))
    if proposal.action == Action.CUT:
        return Agreed(job=cutting.carry_out(proposal))
    if proposal.action == Action.CLASSES:
        return Agreed(decision=_merge(proposal))
    if PLACE in proposal.choice:
        return Agreed(decision=disputes.carry_out(proposal, seconds=looked))
    return Agreed(decision=selection.carry_out(proposal, seconds=looked))


def undo(decision: Decision, *, by: User | None, agreed: Proposal | None = None) -> Decision:
    """Take a decision back, whatever it was about; returns the row that says so."""
    if decision.flag_id:
        return decisions.undo_decision(decision=decision, reviewer=by, agreed=agreed)
    return selection.undo(decision, by=by, agreed=agreed).decision


def _about_one(proposal: Proposal, flag: Flag, seconds: float) -> Decision:
    decisions.reopen(flag)
    kept = dict(proposal.choice)
    label = kept.pop("label", None)
    return decisions.decide_flag(
        flag=flag,
        reviewer=proposal.by,
        action=Action(proposal.action),
        seconds=proposal.seconds + seconds,
        label=LabelClass.objects.get(pk=label) if label else None,
        test_confirmed=True,
        proposal=proposal,
        **kept,
    )


def _about_many(proposal: Proposal, bulk: Bulk) -> Job:
    if proposal.action == Action.UNDO:
        return many.open_undo(bulk=bulk, by=proposal.by, agreed=proposal)
    return many.open_decision(
        sample=bulk,
        action=Action(proposal.action),
        test_confirmed=proposal.choice["test_confirmed"],
        by=proposal.by,
        proposal=proposal,
    )


def _merge(proposal: Proposal) -> Decision:
    classes = {label.pk: label for label in proposal.dataset.classes.all()}
    made = merging.merge_classes(
        dataset=proposal.dataset,
        old=classes[proposal.choice["old"]],
        new=classes[proposal.choice["new"]],
        text=proposal.choice["text"],
        by=proposal.by,
        test_confirmed=True,
        proposal=proposal,
    )
    assert isinstance(made, Decision)  # it was agreed to
    return made
