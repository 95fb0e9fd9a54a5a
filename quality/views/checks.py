"""The checks of a dataset: what each looks for, what it found, when it last ran."""

from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Dataset, Job, JobState
from labeling.queries import job_outlook
from labeling.services import jobs
from labeling.services.intake import renewing
from labeling.views.jobs import start_job
from mlcore.intervals import Interval
from quality.detectors import KINDS, Kind
from quality.queries import flags as queries
from quality.queries.coverage import coverage_of
from quality.queries.expected import expected_right
from quality.queries.runs import last_ended_job, newest_done, open_job


@dataclass(frozen=True)
class Line:
    """One check as its page lists it."""

    kind: Kind
    counts: queries.QueueCounts
    expected: Interval
    job: Job | None
    is_running: bool = False
    not_run: str = ""
    notice: str = ""

    @property
    def is_automatic(self) -> bool:
        return self.kind.find is not None


@login_required
def checks(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Every kind with its counts and when it was last checked, and the button to check now."""
    dataset = access.dataset_for(request.user, slug)
    job = open_job(dataset, "detect")
    lines = _lines(dataset, job)
    found = sum(line.counts.open for line in lines)
    checked = [line for line in lines if line.job]
    context = {
        "dataset": dataset,
        "section": "checks",
        "lines": lines,
        "has_items": dataset.items.exists(),
        "was_checked": bool(checked),
        "nothing_found": bool(checked) and not found,
        "found": found,
        "job": job,
        "ended": None if job else last_ended_job(dataset, "detect"),
        "run": newest_done(dataset),
        "coverage": coverage_of(dataset),
        "measured_before": renewing.measured_before(dataset).exists(),
        "measuring": _measuring(dataset),
        **(job_outlook(job) if job else {}),
    }
    return render(request, "quality/checks.html", context)


def _lines(dataset: Dataset, running: Job | None) -> list[Line]:
    tally, newest = queries.tally_of(dataset), queries.last_checks(dataset)
    counts = queries.counts_by_kind(dataset, tally=tally)
    expected = expected_right(dataset, counts, tally=tally)
    wanted = running.options.get("kinds") or list(KINDS) if running else []
    lines = []
    for kind in KINDS.values():
        if dataset.media in kind.media and kind.is_doubt:
            job = newest.get(kind.name)
            told = job.result["kinds"][kind.name] if job else {}
            words = {name: told.get(name, "") for name in ("not_run", "notice")}
            found = counts.get(kind.name, queries.QueueCounts())
            right = expected.get(kind.name, Interval(0.0, 0.0, 0.0))
            lines.append(Line(kind, found, right, job, kind.name in wanted, **words))
    return lines


def _measuring(dataset: Dataset) -> dict[str, Any] | None:
    """Return the job that measures files again, or the last one where it came to no good end."""
    job = open_job(dataset, renewing.KIND) or last_ended_job(dataset, renewing.KIND)
    if job is None or job.state == JobState.DONE:
        return None
    return {"job": job, "outlook": job_outlook(job)}


@login_required
@require_POST
def detect(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Open a job that runs the checks, and send it."""
    dataset = access.dataset_for(request.user, slug)
    wanted = [name for name in request.POST.getlist("kind") if name in KINDS]
    checking = partial(
        jobs.open_job,
        kind="detect",
        dataset=dataset,
        options={"kinds": wanted},
        by=request.user,
        queue="train",
    )
    start_job(request, checking, already=_("A check is on its way already."))
    return redirect("quality:checks", slug)


@login_required
@require_POST
def measure_again(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Open a job that measures files which an earlier version measured, and send it."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    opening = partial(
        jobs.open_job,
        kind=renewing.KIND,
        dataset=dataset,
        by=request.user,
        queue="train",  # behind what reads the small pictures that go, or drops others
    )
    start_job(request, opening, already=_("The files are being measured already."))
    return redirect("quality:checks", slug)
