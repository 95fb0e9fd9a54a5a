"""A second reviewer: bulk decisions and changes of test items wait until somebody else agrees.

What the first one wanted is kept as a proposal and its flag leaves the queue. Agreed, it takes
effect as the first one's decision; disagreed, nothing changes, the flag is open again and a lead,
who is told, settles it. Conditional updates of proposal and flag let exactly one answer count.
What is done to selected items (`proposing.py`) and every undo of such a decision wait alike.
"""

import random
from typing import Any

from django.db import transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from labeling.models import Job, LabelClass, NoticeKind, User
from labeling.services import notices
from quality.detectors import KINDS
from quality.models import (
    Action,
    Bulk,
    Decision,
    Flag,
    FlagState,
    Proposal,
    ProposalState,
)
from quality.queries import bulk as sampling
from quality.queries import second as queries
from quality.services import agreeing, decisions, proposing
from quality.services import bulk as many
from quality.services.agreeing import Agreed
from quality.services.decisions import LONGEST_SECONDS, SecondNeededError
from quality.services.plans import NothingToChangeError

#: What was proposed no longer can be done: things have changed since.
OVERTAKEN = (
    decisions.FlagClosedError,
    decisions.DecisionRefusedError,
    decisions.UndoRefusedError,
    NothingToChangeError,
)


#: Why a decision is not taken back; the words say so.
UNDO_REFUSED = (decisions.UndoRefusedError, NothingToChangeError)


class SecondRefusedError(Exception):
    """This answer cannot be given; the words say why."""


# ---- the first reviewer ----


def decide(*, flag: Flag, reviewer: User, leads: bool, **choice: Any) -> Decision | Proposal:
    """Decide a flag, or propose it to a second reviewer where the dataset asks for one.

    What two disagreed about another lead settles, at once; the two themselves can only leave it.
    """
    disputed = queries.disagreement(flag=flag)
    if disputed and not leads:
        raise decisions.DecisionRefusedError(_settled_by_a_lead(disputed))
    own = queries.own_dispute(disputed, reviewer)
    if own and not own.may_leave:
        raise decisions.DecisionRefusedError(own.words)
    try:
        with transaction.atomic():
            made = decisions.decide_flag(
                flag=flag, reviewer=reviewer, proposal=None if own else disputed, **choice
            )
            _settle(disputed)
    except SecondNeededError as needed:
        if own:
            raise decisions.DecisionRefusedError(own.words) from needed
        return _propose(flag, reviewer, choice)
    return made


@transaction.atomic
def decide_many(
    *, sample: Bulk, action: Action, test_confirmed: bool, by: User, leads: bool, rng: random.Random
) -> Job | Proposal:
    """Decide about all the others of a sample, or propose that to a second reviewer."""
    disputed = queries.disagreement(bulk=sample)
    if disputed and not leads:
        raise many.BulkRefusedError(_settled_by_a_lead(disputed))
    if own := queries.own_dispute(disputed, by):
        raise many.BulkRefusedError(own.words)
    try:
        with transaction.atomic():
            job = many.open_decision(
                sample=sample,
                action=action,
                test_confirmed=test_confirmed,
                by=by,
                proposal=disputed,
            )
            _settle(disputed)
            return job
    except SecondNeededError:
        pass
    others = sampling.above(sample.dataset, sample.kind, sample.least_score)
    others = sampling.decided_by(others, action)
    found = list(others.exclude(pk__in=sample.sample).values_list("pk", flat=True))
    try:
        return proposing.keep(
            dataset=sample.dataset,
            bulk=sample,
            by=by,
            action=action,
            choice={"test_confirmed": test_confirmed},
            sample=rng.sample(found, min(len(found), sampling.SAMPLE)),
        )
    except proposing.ProposedAlreadyError as waits:
        raise many.BulkRefusedError(str(waits)) from waits


def _settled_by_a_lead(disputed: Proposal) -> str:
    told = {"first": disputed.by or "–", "second": disputed.second or "–"}
    return _("%(first)s and %(second)s disagree about this: a lead settles it.") % told


def _settle(disputed: Proposal | None) -> None:
    if disputed:
        rows = Proposal.objects.filter(pk=disputed.pk, state=ProposalState.DISAGREED)
        rows.update(state=ProposalState.SETTLED)


@transaction.atomic
def _propose(flag: Flag, reviewer: User, choice: dict[str, Any]) -> Proposal:
    if not Flag.objects.filter(pk=flag.pk, state=FlagState.OPEN).update(state=FlagState.WAITING):
        raise decisions.FlagClosedError(_("A colleague has decided this already."))
    kept = {name: choice.get(name) for name in ("keep", "split", "reason", "new_class", "rule")}
    label: LabelClass | None = choice.get("label")
    return proposing.keep(
        dataset=flag.dataset,
        flag=flag,
        by=reviewer,
        action=choice["action"],
        choice={name: value for name, value in kept.items() if value}
        | ({"label": label.pk} if label else {}),
        seconds=min(LONGEST_SECONDS, max(0.0, choice.get("seconds", 0.0))),
    )


def undo(*, decision: Decision, by: User) -> Decision | Proposal:
    """Take a decision back, or propose that where two have to agree.

    Who agreed to it takes the own word back at once, until a version holds what it changed.
    """
    own = {"second": by, "state": ProposalState.AGREED}
    agreed = Proposal.objects.filter(pk=decision.proposal_id or 0, **own).first()
    if decision.dataset.versions.filter(created_at__gte=decision.at).exists():
        agreed = None
    try:
        return agreeing.undo(decision, by=by, agreed=agreed)
    except SecondNeededError:
        return _propose_undo(decision, by)


def _propose_undo(decision: Decision, by: User) -> Proposal:
    if decision.undoes_id or Decision.objects.filter(undoes=decision).exists():
        raise decisions.UndoRefusedError(_("This decision was undone already."))
    try:
        return proposing.propose(
            dataset=decision.dataset,
            by=by,
            action=Action.UNDO,
            before=decision.after,
            after=decision.before,
            undoes=decision,
        )
    except proposing.ProposedAlreadyError as waits:
        raise decisions.UndoRefusedError(str(waits)) from waits


def undo_many(*, bulk: Bulk, by: User) -> Job | Proposal:
    """Open the job that takes a decision about many back, or propose that."""
    try:
        return many.open_undo(bulk=bulk, by=by)
    except SecondNeededError:
        pass
    if bulk.is_undone:
        raise many.BulkRefusedError(_("This decision was undone already."))
    try:
        return proposing.keep(dataset=bulk.dataset, bulk=bulk, by=by, action=Action.UNDO)
    except proposing.ProposedAlreadyError as waits:
        raise many.BulkRefusedError(str(waits)) from waits


@transaction.atomic
def withdraw(*, proposal: Proposal, by: User) -> None:
    """Take back what one proposed oneself, before anybody has answered."""
    mine = Proposal.objects.filter(pk=proposal.pk, by=by, state=ProposalState.WAITING)
    if not mine.update(state=ProposalState.WITHDRAWN, answered_at=timezone.now()):
        raise SecondRefusedError(_answered_already(proposal))
    _reopen(proposal)


# ---- the second one ----


def agree(*, proposal: Proposal, by: User, seconds: float = 0.0) -> Agreed:
    """Let a proposal take effect; where the items have changed since, its flag is open again."""
    try:
        with transaction.atomic():
            _answer(proposal, by, ProposalState.AGREED)
            return agreeing.carry_out(proposal, seconds=seconds)
    except OVERTAKEN as overtaken:
        with transaction.atomic():
            _answer(proposal, by, ProposalState.WITHDRAWN, words=str(overtaken))
            _reopen(proposal)
        more = _("The flag is open again.") if proposal.flag else ""
        raise SecondRefusedError(
            _("%(why)s It did not take effect.") % {"why": overtaken} + f" {more}".rstrip()
        ) from overtaken
    except many.BulkRefusedError as refusal:
        raise SecondRefusedError(str(refusal)) from refusal


@transaction.atomic
def disagree(*, proposal: Proposal, by: User, words: str = "") -> None:
    """Change nothing, open the flag again and tell the leads."""
    _answer(proposal, by, ProposalState.DISAGREED, words=words)
    _reopen(proposal)
    about = proposal.flag or proposal.bulk
    title = str(KINDS[about.kind].title).lower() if about else queries.words_of(proposal)
    told = {"first": proposal.by or "–", "second": by, "kind": title}
    notices.tell(
        dataset=proposal.dataset,
        kind=NoticeKind.DISAGREED,
        about=f"proposal {proposal.pk}",
        words=_("%(first)s and %(second)s disagree about a decision (%(kind)s)") % told,
        path=path_of(proposal),
        now=timezone.now(),
    )


@transaction.atomic
def reconsider(*, proposal: Proposal, by: User) -> None:
    """Take back one's own disagreement that no lead has settled: it waits again."""
    mine = Proposal.objects.filter(pk=proposal.pk, second=by, state=ProposalState.DISAGREED)
    open_again = Flag.objects.filter(pk=proposal.flag_id or 0, state=FlagState.OPEN)
    is_there = proposal.flag_id is None or open_again.update(state=FlagState.WAITING)
    again = {"state": ProposalState.WAITING, "second": None, "words": "", "answered_at": None}
    if not is_there or not mine.update(**again):
        raise SecondRefusedError(_("A lead has settled this already, or no check doubts it now."))


@transaction.atomic
def settle(*, proposal: Proposal, is_done: bool, by: User) -> Agreed:
    """End as a lead what two disagree about and no queue shows: do it, or leave all as it is.

    Neither of the two can do it; see `queries.own_dispute` for who may leave it.
    """
    own = queries.own_dispute(proposal, by)
    if own and (is_done or not own.may_leave):
        raise SecondRefusedError(own.words)
    disputed = Proposal.objects.filter(pk=proposal.pk, state=ProposalState.DISAGREED)
    if not disputed.update(state=ProposalState.SETTLED):
        raise SecondRefusedError(_("A lead has settled this already."))
    try:
        return agreeing.carry_out(proposal) if is_done else Agreed()
    except (*OVERTAKEN, many.BulkRefusedError) as refusal:
        raise SecondRefusedError(str(refusal)) from refusal


def undo_agreed(*, proposal: Proposal, by: User) -> Decision | Proposal:
    """Take back the decision that one agreed to."""
    standing = proposal.decisions.filter(undoes=None, undone_by=None).last()
    if standing is None:
        raise SecondRefusedError(_("This was undone already."))
    return undo(decision=standing, by=by)


def path_of(proposal: Proposal) -> str:
    """Return the page on which a lead settles what two disagree about."""
    slug = proposal.dataset.slug
    if queries.is_settled_here(proposal):
        return f"{reverse('quality:second', args=[slug])}?proposal={proposal.pk}"
    if proposal.flag:
        queue = reverse("quality:queue", args=[slug, proposal.flag.kind])
        return f"{queue}?flag={proposal.flag.pk}"
    return reverse("quality:bulk", args=[slug, proposal.bulk.kind if proposal.bulk else ""])


def _answer(proposal: Proposal, by: User, state: ProposalState, *, words: str = "") -> None:
    if proposal.by_id == by.pk:
        raise SecondRefusedError(_("You proposed this yourself: somebody else has to look at it."))
    waiting = Proposal.objects.filter(pk=proposal.pk, state=ProposalState.WAITING)
    answer = {"state": state, "second": by, "words": words[:200], "answered_at": timezone.now()}
    if not waiting.update(**answer):
        raise SecondRefusedError(_answered_already(proposal))
    proposal.state, proposal.second, proposal.words = state, by, words[:200]


def _answered_already(proposal: Proposal) -> str:
    now = Proposal.objects.select_related("second").get(pk=proposal.pk)
    if now.state == ProposalState.WITHDRAWN:
        return _("This was taken back meanwhile.")
    return _("%(who)s has answered this already.") % {"who": now.second or "–"}


def _reopen(proposal: Proposal) -> None:
    """Open its flag again; one raised meanwhile about the same subject gives way."""
    if proposal.flag:
        decisions.reopen(proposal.flag)
