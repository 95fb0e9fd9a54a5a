"""One decision for all flags from a score on, after a sample of them was judged; and its undo.

Each flag still gets a decision of its own, so that history, exports and undo are as ever.
"""

import random
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from labeling.models import Dataset, Job, User
from labeling.services import jobs
from quality.detectors import KINDS
from quality.models import Action, Bulk, Flag, Proposal, ProposalState
from quality.queries import bulk as queries
from quality.queries import second
from quality.services import decisions

KIND = "bulk"


class BulkRefusedError(Exception):
    """It cannot be done at once; the words say why."""


@transaction.atomic
def draw_sample(
    *, dataset: Dataset, kind: str, least_score: float, by: User, rng: random.Random
) -> Bulk:
    """Draw the flags that are judged one by one before the others are decided together."""
    if KINDS[kind].bulk is None:
        raise BulkRefusedError(_("No one decision suits all flags of this kind."))
    found = list(queries.above(dataset, kind, least_score).values_list("pk", flat=True))
    if len(found) <= queries.SAMPLE:
        raise BulkRefusedError(
            _("Only %(n)s flags are left from this score on: decide them one by one.")
            % {"n": len(found)}
        )
    try:
        with transaction.atomic():
            return Bulk.objects.create(
                dataset=dataset,
                kind=kind,
                least_score=least_score,
                sample=rng.sample(found, queries.SAMPLE),
                by=by,
            )
    except IntegrityError as taken:
        raise BulkRefusedError(_("A sample of this queue is being judged already.")) from taken


@transaction.atomic
def draw_more(*, sample: Bulk, rng: random.Random) -> int:
    """Replace what was passed on or is no longer doubted; returns how many were drawn."""
    sample = Bulk.objects.select_for_update().get(pk=sample.pk)
    said = queries.judged(sample, proposed=KINDS[sample.kind].bulk)
    wanted = queries.SAMPLE - said.judged - said.waiting
    rest = queries.above(sample.dataset, sample.kind, sample.least_score)
    found = list(rest.exclude(pk__in=sample.sample).values_list("pk", flat=True))
    fresh = rng.sample(found, max(0, min(wanted, len(found))))
    sample.sample = [*sample.sample, *fresh]
    sample.save(update_fields=["sample"])
    return len(fresh)


@transaction.atomic
def drop_sample(*, sample: Bulk, by: User, leads: bool) -> None:
    """Let it be; what was judged stays judged. What two disagree about only a lead drops.

    That leaves all as it is, so who said no drops it only where no other lead is.
    """
    waiting = Bulk.objects.select_for_update().filter(pk=sample.pk, action="")
    if list(waiting) and sample.proposals.filter(state=ProposalState.WAITING).exists():
        raise BulkRefusedError(_("A decision about this sample waits; take that back first."))
    disputed = sample.proposals.filter(state=ProposalState.DISAGREED)
    if disputed.exists() and not leads:
        raise BulkRefusedError(_("Two disagree about this sample: a lead settles it."))
    own = second.own_dispute(second.disagreement(bulk=sample), by)
    if own and not own.may_leave:
        raise BulkRefusedError(own.words)
    disputed.update(state=ProposalState.SETTLED)
    waiting.delete()


@transaction.atomic
def open_decision(
    *,
    sample: Bulk,
    action: Action,
    test_confirmed: bool,
    by: User | None,
    proposal: Proposal | None = None,
) -> Job:
    """Decide about all the others and open the job that carries it out; the caller sends it.

    `proposal` is what a second reviewer answered to, where the dataset asks for one.
    """
    if action not in (KINDS[sample.kind].bulk, Action.KEEP):
        raise BulkRefusedError(_("This cannot be done about such a flag."))
    if not queries.judged(sample, proposed=KINDS[sample.kind].bulk).is_enough:
        raise BulkRefusedError(_("Judge the sample first."))
    if proposal is None and sample.dataset.has_second_reviewer:
        raise decisions.SecondNeededError(_("A second reviewer is asked."))
    waiting = Bulk.objects.filter(pk=sample.pk, action="")
    if not waiting.update(action=action, test_confirmed=test_confirmed, by=by):
        raise BulkRefusedError(_("A colleague has decided this already."))
    return jobs.open_job(kind=KIND, dataset=sample.dataset, options={"bulk": sample.pk}, by=by)


@transaction.atomic
def open_undo(*, bulk: Bulk, by: User | None, agreed: Proposal | None = None) -> Job:
    """Open the job that takes all of it back; the caller sends it.

    `agreed` is what a second reviewer answered to, where the dataset asks for one.
    """
    if agreed is None and bulk.dataset.has_second_reviewer:
        raise decisions.SecondNeededError(_("A second reviewer is asked."))
    done = Bulk.objects.filter(pk=bulk.pk).exclude(action="").exclude(result__has_key="undone")
    if not done.update(is_undone=True):
        raise BulkRefusedError(_("This decision was undone already."))
    options = {"bulk": bulk.pk, "undo": True}
    return jobs.open_job(kind=KIND, dataset=bulk.dataset, options=options, by=by)


def carry_out(work: jobs.Work) -> dict[str, Any]:
    """Decide the flags one after another, or take that back: the body of a `bulk` job.

    An attempt that follows a killed one goes on with what is still open.
    """
    bulk = Bulk.objects.select_related("dataset").filter(pk=work.options["bulk"]).first()
    if bulk is None:
        raise jobs.Refused("This decision is gone.")
    return _undo_all(work, bulk) if work.options.get("undo") else _decide_all(work, bulk)


def _decide_all(work: jobs.Work, bulk: Bulk) -> dict[str, Any]:
    rows = queries.above(bulk.dataset, bulk.kind, bulk.least_score).exclude(pk__in=bulk.sample)
    flags = list(rows.order_by("-score", "pk"))
    left = {"test": 0, "refused": 0, "closed": 0}
    answered = bulk.proposals.filter(state__in=(ProposalState.AGREED, ProposalState.SETTLED))
    proposal = answered.last()
    for done, flag in enumerate(flags):
        work.progress(done, len(flags), message="Deciding")
        work.check()
        if why := _decide(work, bulk, flag, proposal):
            left[why] += 1
    bulk.result = {"decided": bulk.decisions.filter(undoes=None).count(), "left": left}
    bulk.save(update_fields=["result"])
    return bulk.result


def _decide(work: jobs.Work, bulk: Bulk, flag: Flag, proposal: Proposal | None) -> str:
    """Decide one flag; returns why not, or nothing."""
    try:
        with transaction.atomic():
            work.keep()
            decisions.decide_flag(
                flag=flag,
                reviewer=bulk.by,
                action=Action(bulk.action),
                test_confirmed=bulk.test_confirmed,
                bulk=bulk,
                proposal=proposal,
            )
    except decisions.TouchesTestError:
        return "test"
    except decisions.DecisionRefusedError:
        return "refused"
    except decisions.FlagClosedError:
        return "closed"
    return ""


def _undo_all(work: jobs.Work, bulk: Bulk) -> dict[str, Any]:
    """Take back, newest first, what nothing newer has changed."""
    made = bulk.decisions.filter(undoes=None)
    standing = list(made.filter(undone_by=None).order_by("-pk").select_related("flag", "dataset"))
    answered = bulk.proposals.filter(state__in=(ProposalState.AGREED, ProposalState.SETTLED))
    agreed = answered.filter(action=Action.UNDO).last()
    for done, decision in enumerate(standing):
        work.progress(done, len(standing), message="Taking back")
        work.check()
        try:
            with transaction.atomic():
                work.keep()
                decisions.undo_decision(decision=decision, reviewer=work.job.by, agreed=agreed)
        except (decisions.UndoRefusedError, decisions.SecondNeededError):
            continue  # counted below: it stays as it is
    stay = made.filter(undone_by=None).count()
    bulk.result = {**bulk.result, "undone": made.count() - stay, "stay": stay}
    bulk.save(update_fields=["result"])
    return bulk.result
