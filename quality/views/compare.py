"""Before/After: choose two versions, see what lay between them and what it bought."""

from functools import partial
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.models import Dataset
from labeling.queries import job_outlook
from labeling.services import jobs
from labeling.views.jobs import start_job
from quality.forms.versions import VersionsForm
from quality.queries import comparisons as queries
from quality.queries.history import history
from quality.queries.runs import items_by_key, last_ended_job, open_job, openings_of
from quality.services.predictions import compared_predictions
from quality.views.runs import csv_response

ITEMS_SHOWN = 60


@login_required
def before_after(request: HttpRequest, slug: str) -> HttpResponse:
    """The comparison of the two chosen versions, else of the newest one made."""
    dataset = access.dataset_for(request.user, slug)
    form = VersionsForm(request.GET or None, dataset=dataset)
    chosen = form.cleaned_data if form.is_bound and form.is_valid() else {}
    comparison = queries.comparison_of(dataset, **chosen)
    job = open_job(dataset, "prove")
    context: dict[str, Any] = {
        "dataset": dataset,
        "section": "before_after",
        "has_items": dataset.items.exists(),
        "versions": queries.versions_of(dataset),
        "chosen": chosen or queries.chosen_versions(dataset, comparison),
        "job": job,
        "ended": None if job else last_ended_job(dataset, "prove"),
        "openings": openings_of(dataset),
        "can_train": access.role_in(request.user, dataset) in access.LEADS,
        **(queries.comparison_page(comparison) if comparison else {}),
        **_parts_work(dataset),
        "history": history(dataset),
        **(job_outlook(job) if job else {}),
    }
    return render(request, "quality/before_after.html", context)


@login_required
@require_POST
def prove(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Open and send the job that compares two versions."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = VersionsForm(request.POST, dataset=dataset)
    address = reverse("quality:before_after", args=[slug])
    if not form.is_valid():
        messages.error(request, _("Choose two versions of this dataset."))
        return redirect(address)
    options = form.cleaned_data
    proving = partial(
        jobs.open_job,
        kind="prove",
        dataset=dataset,
        options=options,
        by=request.user,
        queue="train",
    )
    start_job(request, proving, already=_("A comparison is on its way already."))
    return redirect(f"{address}?old={options['old']}&new={options['new']}")


def _parts_work(dataset: Dataset) -> dict[str, Any]:
    """Return the job that measures parts, under way or over."""
    job = open_job(dataset, "contributions")
    return {
        "parts_job": job,
        "parts_ended": None if job else last_ended_job(dataset, "contributions"),
        "parts_outlook": job_outlook(job) if job else {},
    }


@login_required
@require_POST
def contributions(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Open and send the job that measures what each kind of change contributed."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    comparison = queries.comparison_with(dataset, pk)
    if comparison is None:
        raise Http404("no such comparison")
    measuring = partial(
        jobs.open_job,
        kind="contributions",
        dataset=dataset,
        options={"comparison": comparison.pk},
        by=request.user,
        queue="train",
    )
    already = _("The parts of a comparison are being measured already.")
    start_job(request, measuring, already=already)
    sides = [comparison.result[side]["version"] for side in ("old", "new")]
    address = reverse("quality:before_after", args=[slug])
    return redirect(f"{address}?old={sides[0]}&new={sides[1]}#contributions")


@login_required
def changed_items(request: HttpRequest, slug: str, pk: int, which: str) -> HttpResponse:
    """The items that became right, or wrong, or that a cell of one side's matrix counts."""
    dataset = access.dataset_for(request.user, slug)
    comparison = queries.comparison_with(dataset, pk)
    if comparison is None or which not in (*queries.CHANGED, *queries.SIDES):
        raise Http404("no such comparison")
    cell = {name: request.GET.get(name, "") for name in ("given", "predicted")}
    if which in queries.SIDES:
        keys = queries.keys_in_cell(comparison, which, **cell)
    else:
        keys = comparison.result.get(which, [])
    context = {
        "dataset": dataset,
        "section": "before_after",
        "comparison": comparison,
        "which": which,
        **cell,
        "count": len(keys),
        "items": items_by_key(dataset, keys[:ITEMS_SHOWN]),
    }
    return render(request, "quality/changed_items.html", context)


@login_required
def compared(request: HttpRequest, slug: str, pk: int, side: str) -> StreamingHttpResponse:
    """One side's predictions on the compared items, as CSV."""
    dataset = access.dataset_for(request.user, slug)
    comparison = queries.comparison_with(dataset, pk)
    if comparison is None or side not in ("before", "after"):
        raise Http404("no such comparison")
    number = comparison.result["old" if side == "before" else "new"]["version"]
    return csv_response(compared_predictions(comparison, side), name=f"{slug}-v{number}-{side}.csv")
