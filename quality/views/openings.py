"""The page of the sealed test items: who looked when and why, and the next look."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from labeling import access, tasks
from labeling.queries import job_outlook
from labeling.services import jobs
from quality.forms.openings import OpeningForm
from quality.queries import openings as queries
from quality.queries.runs import last_ended_job, open_job, openings_of
from quality.services.runs import OPENING


@login_required
def openings(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Show every look; a lead says why and opens the test items once more."""
    asks = request.method == "POST"
    dataset = access.dataset_for(
        request.user, slug, roles=access.LEADS if asks else access.REVIEWERS
    )
    first = {"run": request.GET.get("run", "")}
    form = OpeningForm(request.POST or None, dataset=dataset, initial=first)
    if asks and form.is_valid():
        options = {"run": form.cleaned_data["run"].number, "reason": form.cleaned_data["reason"]}
        try:
            tasks.send(
                jobs.open_job(
                    kind=OPENING, dataset=dataset, by=request.user, options=options, queue="train"
                )
            )
        except jobs.JobOpenError:
            messages.info(request, _("The test items are being opened already."))
        except jobs.Refused as refusal:
            messages.error(request, str(refusal))
        return redirect("quality:openings", slug)
    job = open_job(dataset, OPENING)
    context = {
        "dataset": dataset,
        "section": "runs",
        "form": form,
        "can_open": dataset.viewer_role in access.LEADS,
        "has_runs": queries.openable(dataset).exists(),
        "has_test": queries.has_test(dataset),
        "n": openings_of(dataset),
        "openings": queries.openings(dataset),
        "job": job,
        "ended": None if job else last_ended_job(dataset, OPENING),
        **(job_outlook(job) if job else {}),
    }
    return render(request, "quality/openings.html", context, status=422 if form.errors else 200)
