"""The versions of a dataset: freeze, see what changed, name, take along, bring back."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access, tasks
from labeling.forms.versions import FreezeForm, TagForm
from labeling.models import Dataset
from labeling.queries import versions as queries
from labeling.services import jobs, restoring
from labeling.services import versions as services
from labeling.services.versions import NothingToFreezeError, freeze_version
from labeling.storage import DiskFullError


@login_required
def versions(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List the versions, each with what changed since the one before it."""
    return _page(request, access.dataset_for(request.user, slug), FreezeForm())


def _page(request: access.MemberRequest, dataset: Dataset, form: FreezeForm) -> HttpResponse:
    found = queries.versions_of(dataset)
    changes = queries.Comparing()
    context = {
        "dataset": dataset,
        "section": "versions",
        "has_items": bool(found) or dataset.items.exists(),
        "rows": [
            {"version": version, "previous": previous, "changes": changes.of(previous, version)}
            for version, previous in zip(found, [*found[1:], None])
        ][: queries.VERSIONS_SHOWN],
        "has_more": len(found) > queries.VERSIONS_SHOWN,
        "may_freeze": dataset.viewer_role in access.LEADS,
        "form": form,
    }
    return render(request, "labeling/versions.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def freeze(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Freeze the dataset as it is."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = FreezeForm(request.POST)
    if not form.is_valid():
        return _page(request, dataset, form)
    note = form.cleaned_data["note"]
    try:
        version, is_new = freeze_version(dataset=dataset, by=request.user, note=note)
    except (NothingToFreezeError, DiskFullError) as refusal:
        messages.error(request, str(refusal))
    else:
        words = _("Frozen as v%(n)d.") if is_new else _("Nothing changed since v%(n)d.")
        if note and version.note != note:
            words = _("Nothing changed since v%(n)d, which has a note: yours was not kept.")
        messages.success(request, words % {"n": version.number})
    return redirect("labeling:versions", slug)


@login_required
@require_POST
def tag(request: access.MemberRequest, slug: str, number: int) -> HttpResponse:
    """Give a version a name beside its number, or take it away."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    version = get_object_or_404(dataset.versions, number=number)
    form = TagForm(request.POST)
    if not form.is_valid():
        messages.error(
            request, _("A tag is letters, digits, - and _, at most 40, and no version's number.")
        )
    else:
        try:
            services.tag_version(version=version, tag=form.cleaned_data["tag"])
        except services.TagTakenError as refusal:
            messages.error(request, str(refusal))
    return redirect("labeling:versions", slug)


@login_required
@require_POST
def restore(request: access.MemberRequest, slug: str, number: int) -> HttpResponse:
    """Open and send the job that makes the dataset what a version holds."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    version = get_object_or_404(dataset.versions, number=number)
    try:
        job = restoring.open_restoring(version=version, by=request.user)
    except (jobs.Refused, jobs.JobOpenError) as refusal:
        messages.error(request, str(refusal))
        return redirect("labeling:versions", slug)
    tasks.send(job)
    return redirect(job)


@login_required
def manifest(request: access.MemberRequest, slug: str, number: int) -> HttpResponse | FileResponse:
    """The bytes whose sha256 is the digest."""
    dataset = access.dataset_for(request.user, slug, roles=access.REVIEWERS)
    version = get_object_or_404(dataset.versions, number=number)
    try:
        content = services.manifest_of(version)
    except services.ErasedError as refusal:
        messages.error(request, str(refusal))
        return redirect("labeling:versions", slug)
    name = f"{dataset.slug}-v{version.number}.jsonl.gz"
    return FileResponse(content, as_attachment=True, filename=name, content_type="application/gzip")
