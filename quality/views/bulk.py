"""Many at once: a sample of a queue is judged, then one decision is made for the others."""

import random
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from labeling import access, tasks
from labeling.models import Dataset, Job
from labeling.queries import job_outlook
from labeling.services import jobs
from quality.detectors import KINDS, Kind
from quality.forms.decisions import BulkForm
from quality.models import Action, Bulk, Flag, Proposal
from quality.queries import bulk as queries
from quality.queries import second as waiting
from quality.queries.runs import open_job
from quality.services import bulk as services
from quality.services import second


@login_required
def many(request: access.MemberRequest, slug: str, kind: str) -> HttpResponse:
    """The line, the sample and the decision of one queue, whichever comes next."""
    dataset = access.dataset_for(request.user, slug)
    row = KINDS.get(kind)
    if row is None:
        raise Http404("no such kind of flag")
    if request.method != "POST":
        words = "" if _asked_from(request).is_valid() else _("Give a score from 0 to 1.")
        context = {**_page(request, dataset, row), "refusal": words}
        return render(request, "quality/many.html", context, status=422 if words else 200)
    form = BulkForm(request.POST)
    if not form.is_valid():
        words = _("Give a score from 0 to 1.")
    else:
        words = _carry_out(request, dataset, row, form.cleaned_data)
    if words:
        context = {**_page(request, dataset, row), "refusal": words}
        return render(request, "quality/many.html", context, status=422)
    if form.cleaned_data["step"] in ("draw", "more"):
        return redirect("quality:queue", slug, kind)
    return redirect("quality:bulk", slug, kind)


def _carry_out(
    request: access.MemberRequest, dataset: Dataset, row: Kind, sent: dict[str, Any]
) -> str:
    """Do one step; returns why not, in words, or nothing."""
    try:
        job = _step(request, dataset, row, sent)
    except (services.BulkRefusedError, jobs.Refused) as refusal:
        return str(refusal)
    except jobs.JobOpenError:
        return _("Another decision about many is being carried out; wait for it.")
    if isinstance(job, Job):
        tasks.send(job)
    elif job:
        messages.info(request, _("It waits for a second reviewer."))
    return ""


def _step(
    request: access.MemberRequest, dataset: Dataset, row: Kind, sent: dict[str, Any]
) -> Job | Proposal | None:
    step, rng = sent["step"], random.SystemRandom()
    leads = dataset.viewer_role in access.LEADS
    if step == "draw":
        line = sent["least_score"] or 0.0
        services.draw_sample(
            dataset=dataset, kind=row.name, least_score=line, by=request.user, rng=rng
        )
        return None
    if step == "undo":
        last = queries.last_bulk(dataset, row.name)
        return second.undo_many(bulk=_there(last), by=request.user)
    sample = _there(queries.open_sample(dataset, row.name))
    if step == "more":
        services.draw_more(sample=sample, rng=rng)
        return None
    if step == "drop":
        services.drop_sample(sample=sample, by=request.user, leads=leads)
        messages.info(request, _("The sample is dropped; what you judged stays decided."))
        return None
    return second.decide_many(
        sample=sample,
        action=Action.KEEP if step == "keep" else row.bulk or Action.KEEP,
        test_confirmed=sent["test_confirmed"],
        by=request.user,
        leads=leads,
        rng=rng,
    )


def _there(found: Bulk | None) -> Bulk:
    if found is None:
        raise services.BulkRefusedError(_("A colleague was faster: there is none by now."))
    return found


def _page(request: access.MemberRequest, dataset: Dataset, row: Kind) -> dict[str, Any]:
    sample, job = queries.open_sample(dataset, row.name), open_job(dataset, services.KIND)
    line = sample.least_score if sample else _line(request, dataset, row)
    flags = queries.above(dataset, row.name, line)
    last = queries.last_bulk(dataset, row.name)
    disputed = waiting.disagreement(bulk=sample) if sample else None
    own = waiting.own_dispute(disputed, request.user)
    decidable = queries.decided_by(flags, row.bulk)
    n, proposed = flags.count(), decidable.count()
    said = queries.judged(sample, proposed=row.bulk) if sample else None
    return {
        "dataset": dataset,
        "section": "review",
        "kind": row,
        "size": queries.SAMPLE,
        "line": line,
        "above": n,
        "below": queries.above(dataset, row.name, 0.0).count() - n,
        "unclear": n - proposed,
        "proposed": proposed,
        "touching_test": queries.in_test(flags),
        "sample": sample,
        "proposal": waiting.waiting_about(sample) if sample else None,
        "disputed": disputed,
        "wanted": waiting.words_of(disputed) if disputed else "",
        "own_dispute": own,
        "may_drop": not disputed
        or (dataset.viewer_role in access.LEADS and (own is None or own.may_leave)),
        "said": said,
        **(_outlook(decidable, row, said, n=proposed) if said and said.is_enough else {}),
        "better_line": queries.worthwhile_line(dataset, row.name)
        if not sample and n <= queries.SAMPLE
        else None,
        "last": last,
        "undo_waits": waiting.waiting_about(last) if last else None,
        "job": job,
        **(job_outlook(job) if job else {}),
    }


def _outlook(flags: QuerySet[Flag], row: Kind, said: queries.Judged, *, n: int) -> dict[str, Any]:
    """Say what a decision as proposed would change, and whether Enter stands for it."""
    pairs, others = queries.relabelled(flags) if row.bulk == Action.RELABEL else ([], 0)
    return {
        "is_backed": n > 0 and said.right >= said.kept,
        "relabelled": pairs,
        "relabelled_otherwise": others,
        "leaving": queries.copies_leaving(flags) if row.bulk == Action.MERGE else 0,
    }


def _asked_from(request: access.MemberRequest) -> BulkForm:
    return BulkForm({"step": "draw", "least_score": request.GET.get("from", "")})


def _line(request: access.MemberRequest, dataset: Dataset, row: Kind) -> float:
    form = _asked_from(request)
    asked = form.cleaned_data["least_score"] if form.is_valid() else None
    return queries.first_line(dataset, row.name) if asked is None else asked
