"""The model of a run: taken along as a zip, or tried on one file."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Job, Media
from labeling.queries import job_outlook
from labeling.views.downloads import file_response
from labeling.views.jobs import start_job
from quality.forms.runs import TrialForm
from quality.models import Run
from quality.queries import runs as queries
from quality.queries.trials import newest_trial
from quality.services import models

PIECE = 2**20
ALREADY = gettext_lazy("One is on its way already; ask again when it is over.")


@login_required
def use_model(request: access.MemberRequest, slug: str, number: int) -> HttpResponse:
    """Take the model of a run along, or see what it says of one file."""
    run = _run(request, slug, number)
    return _page(request, run, TrialForm(media=run.dataset.media))


@login_required
@require_POST
def make_package(request: access.MemberRequest, slug: str, number: int) -> HttpResponse:
    """Open the job that makes the zip, and send it."""
    run = _run(request, slug, number)
    if _has_model(run):
        making = partial(models.open_package, run=run, by=request.user)
        start_job(request, making, already=str(ALREADY))
    return redirect("quality:use_model", slug, number)


@login_required
@require_POST
def try_model(request: access.MemberRequest, slug: str, number: int) -> HttpResponse:
    """Open the job that reads one file, and send it."""
    run = _run(request, slug, number)
    form = TrialForm(request.POST, request.FILES, media=run.dataset.media)
    if not _has_model(run) or not form.is_valid():
        return _page(request, run, form, status=422)
    name, file = form.sent()
    trying = partial(models.open_trial, run=run, name=name, file=file, by=request.user)
    start_job(request, trying, already=str(ALREADY))
    return redirect("quality:use_model", slug, number)


@login_required
def model_zip(request: access.MemberRequest, slug: str, number: int) -> HttpResponseBase:
    """The zip, once it was made."""
    run = _run(request, slug, number)
    path = models.package_path(run)
    if not path.exists():
        messages.info(request, _("The file was not made yet."))
        return redirect("quality:use_model", slug, number)
    name = f"{slug}-run{number}-model.zip"
    return file_response(_pieces(path), name=name, content_type="application/zip")


def _page(
    request: access.MemberRequest, run: Run, form: TrialForm, *, status: int = 200
) -> HttpResponse:
    package = queries.open_job(run.dataset, models.PACKAGE)
    trial = newest_trial(run, by=request.user)
    context = {
        "dataset": run.dataset,
        "section": "runs",
        "run": run,
        "has_model": _has_model(run),
        "is_text": run.dataset.media == Media.TEXT,
        "form": form,
        "is_made": models.package_path(run).exists(),
        "package": _with_outlook(package or queries.last_ended_job(run.dataset, models.PACKAGE)),
        "trial": _with_outlook(trial),
        "most": trial.result["probabilities"][0][1] if trial and trial.result else 1,
    }
    return render(request, "quality/use_model.html", context, status=status)


def _with_outlook(job: Job | None) -> dict[str, object]:
    return {"job": job, **job_outlook(job)} if job else {}


def _has_model(run: Run) -> bool:
    return bool(run.finished_at) and not run.is_imported


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _run(request: access.MemberRequest, slug: str, number: int) -> Run:
    row = queries.run_numbered(access.dataset_for(request.user, slug), number)
    if row is None:
        raise Http404("no such run")
    return row
