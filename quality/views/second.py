"""The second reviewer: what somebody decided about many or about test items, agreed or not."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access, tasks
from labeling.forms.ids import id_of, ids_of
from labeling.models import Dataset
from labeling.services import jobs
from quality.detectors import KINDS
from quality.forms.decisions import SecondForm
from quality.models import Action, Bulk, Decision, Flag, Proposal, ProposalState
from quality.queries import bulk as sampling
from quality.queries import review
from quality.queries import second as queries
from quality.queries.filters import Filter, Shown
from quality.queries.tiles import tiles_of
from quality.services import proposing
from quality.services import second as services
from quality.services.agreeing import Agreed
from quality.views.success import measure_again


@login_required
def second(request: access.MemberRequest, slug: str) -> HttpResponse:
    """One proposal with what its first reviewer saw; the oldest that somebody else made."""
    dataset = access.dataset_for(request.user, slug)
    later = ids_of(request.GET.get("later", "").split(","))
    asked = id_of(request.GET.get("proposal", ""))
    found = queries.next_for(dataset, request.user, later=later, pk=asked)
    return render(request, "quality/second.html", _page(request, dataset, found, later=later))


@login_required
@require_POST
def answer(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Agree, disagree, or take back one's own."""
    dataset = access.dataset_for(request.user, slug)
    found = queries.proposal_in(dataset, pk)
    form = SecondForm(request.POST)
    if found is None:
        raise Http404("no such proposal")
    found.dataset = dataset
    if not form.is_valid():
        messages.error(request, _("Agree or disagree; a reason has at most 200 characters."))
    else:
        _carry_out(request, found, form.cleaned_data)
    later = request.POST.get("later", "")
    address = reverse("quality:second", args=[slug])
    return redirect(f"{address}?later={later}" if later else address)


def _carry_out(request: access.MemberRequest, found: Proposal, sent: dict[str, Any]) -> None:
    """Do what was answered, and say what became of it."""
    done = Agreed()
    try:
        if sent["answer"] == "withdraw":
            services.withdraw(proposal=found, by=request.user)
            words = _("Taken back: it is open again.")
        elif sent["answer"] == "disagree":
            services.disagree(proposal=found, by=request.user, words=sent["words"])
            words = _("Nothing changes; the leads are told.")
        elif sent["answer"] in ("do", "leave"):
            access.demand_role(found.dataset, access.LEADS)
            done = services.settle(proposal=found, is_done=sent["answer"] == "do", by=request.user)
            words = _("Settled.")
        else:
            done = services.agree(proposal=found, by=request.user, seconds=sent["seconds"] or 0.0)
            words = _("Agreed: it took effect.")
    except (services.SecondRefusedError, jobs.Refused) as refusal:
        messages.warning(request, str(refusal))
    except jobs.JobOpenError:
        messages.warning(request, _("Another decision about many is being carried out; wait."))
    else:
        if done.job:
            tasks.send(done.job)
            words = _("Agreed: it is being carried out.")
        messages.success(request, words)
        _measure_again(request, found.dataset, done.decision)


def _measure_again(request: access.MemberRequest, dataset: Dataset, made: Decision | None) -> None:
    """Measure runs anew where classes that success names were merged, or that was undone."""
    merged = made.undoes or made if made else None
    if merged and merged.action == Action.CLASSES and "success" in merged.after[0]["merge"]:
        measure_again(request, dataset)


@login_required
@require_POST
def undo(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Take this person's last answer back: what took effect is undone, a no waits again."""
    dataset = access.dataset_for(request.user, slug)
    last = queries.last_answer(dataset, request.user)
    try:
        if last is None:
            messages.info(request, _("There is nothing of yours to undo here."))
        elif last.state == ProposalState.DISAGREED:
            services.reconsider(proposal=last, by=request.user)
            return redirect(f"{reverse('quality:second', args=[slug])}?proposal={last.pk}")
        elif last.bulk:
            messages.info(request, _("You agreed to a decision about many: undo all of it here."))
            return redirect("quality:bulk", slug, last.bulk.kind)
        else:
            undone = services.undo_agreed(proposal=last, by=request.user)
            if isinstance(undone, Proposal):
                messages.info(request, _("Taking it back waits for a second reviewer."))
            else:
                messages.success(request, _("Undone: it is as before."))
                _measure_again(request, dataset, undone)
    except (services.SecondRefusedError, *services.UNDO_REFUSED) as refusal:
        messages.warning(request, str(refusal))
    return redirect("quality:second", slug)


def _page(
    request: access.MemberRequest, dataset: Dataset, found: Proposal | None, *, later: list[int]
) -> dict[str, Any]:
    about: dict[str, Any] = {}
    if found:
        found.dataset = dataset
        about = {"wanted": queries.words_of(found)}
        if found.state == ProposalState.DISAGREED:
            about["own_dispute"] = queries.own_dispute(found, request.user)
        about |= _about(dataset, found, page=request.GET.get("page", ""))
    return {
        "dataset": dataset,
        "section": "review",
        "proposal": found,
        "second": queries.standing(dataset, request.user),
        "may_settle": dataset.viewer_role in access.LEADS,
        "later": ",".join(map(str, later)),
        "put_off": ",".join(map(str, [*later, found.pk])) if found else "",
        **about,
    }


def _about(dataset: Dataset, found: Proposal, *, page: str) -> dict[str, Any]:
    if found.before:
        return _about_items(dataset, found, page=page)
    if found.flag:
        return _about_one(dataset, found.flag)
    return _about_many(found, found.bulk)


def _about_items(dataset: Dataset, found: Proposal, *, page: str) -> dict[str, Any]:
    still = [before["item"] for before, _after in proposing.unchanged(found)]
    outlook = queries.outlook_of(found, unchanged=still, page=page)
    tiles = tiles_of(Shown(dataset, Filter()), outlook.shown)
    return {"outlook": outlook, "tiles": tiles, "kind": None}


def _about_one(dataset: Dataset, flag: Flag) -> dict[str, Any]:
    flag.dataset = dataset
    return {"kind": KINDS[flag.kind], "flag": flag, "evidence": review.evidence_of(flag)}


def _about_many(found: Proposal, bulk: Bulk | None) -> dict[str, Any]:
    assert bulk  # what waits is about a flag or about many
    row, dataset = KINDS[bulk.kind], found.dataset
    if found.action == Action.UNDO:
        made = Flag.objects.filter(decisions__in=bulk.decisions.filter(undone_by=None))
        return {
            "kind": row,
            "undo_of": bulk,
            "sample": review.with_first_items(dataset, made.distinct(), most=sampling.SAMPLE),
        }
    every = sampling.above(dataset, bulk.kind, bulk.least_score).exclude(pk__in=bulk.sample)
    others = sampling.decided_by(every, found.action)
    n = others.count()
    return {
        "kind": row,
        "line": bulk.least_score,
        "above": n,
        "unclear": every.count() - n,
        "touching_test": sampling.in_test(others),
        "said": sampling.judged(bulk, proposed=row.bulk),
        "sample": review.with_first_items(
            dataset, others.filter(pk__in=found.sample), most=sampling.SAMPLE
        ),
    }
