"""The report of a version: read here, printed, taken along as one file or as JSON."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from labeling import access
from labeling.forms.ids import id_of
from labeling.models import Dataset
from quality.detectors import titles
from quality.queries.comparisons import versions_of
from quality.queries.report import Report, as_plain, report_of
from quality.queries.report.evidence import Picture, address_of, bytes_of
from quality.services.report import file_of

VERSIONS_OFFERED = 20


@login_required
def report(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Show where a version stands and what to do first; `?version=N`, else the newest one."""
    dataset = access.dataset_for(request.user, slug)
    context = {
        "dataset": dataset,
        "section": "versions",
        "versions": versions_of(dataset)[:VERSIONS_OFFERED],
        "report": _report(request, dataset, address_of),
        "address": "",
    }
    return render(request, "quality/report.html", context)


@login_required
def report_file(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Send the report as one file whose links lead back to where it was made."""
    dataset = access.dataset_for(request.user, slug)
    made = file_of(
        _report(request, dataset, bytes_of), address=request.build_absolute_uri("/").rstrip("/")
    )
    response = HttpResponse(made)
    name = f"{slug}-v{request.GET['version']}" if request.GET.get("version") else slug
    response["Content-Disposition"] = f'attachment; filename="{name}-report.html"'
    return response


@login_required
def report_json(request: access.MemberRequest, slug: str) -> JsonResponse:
    """Send what the report says as JSON."""
    dataset = access.dataset_for(request.user, slug)
    return JsonResponse(as_plain(_report(request, dataset, address_of)))


def _report(request: access.MemberRequest, dataset: Dataset, picture: Picture) -> Report:
    wanted = request.GET.get("version", "")
    versions = versions_of(dataset)
    version = versions.filter(number=id_of(wanted) or 0).first() if wanted else versions.first()
    if wanted and version is None:
        raise Http404("no such version")
    return report_of(
        dataset,
        version,
        kinds=titles(),
        now=timezone.now(),
        with_people=dataset.viewer_role in access.LEADS,
        picture=picture,
    )
