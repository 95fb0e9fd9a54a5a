"""The difference between any two versions: which items, what of them, by whom and why."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from labeling import access
from labeling.forms.ids import id_of
from labeling.models import Version
from labeling.queries.versions import KINDS, counts_between
from quality.forms.versions import VersionsForm
from quality.queries import changes as queries
from quality.queries.comparisons import versions_of

CHANGES_A_PAGE = 50
WORDS = {
    "relabelled": _("Other label"),
    "labelled": _("Labelled"),
    "unlabelled": _("Label taken away"),
    "added": _("Added"),
    "left_out": _("Left out"),
    "moved": _("Other split"),
    "file": _("Other file"),
    "details": _("Source, group, date or metadata"),
}


@login_required
def difference(request: HttpRequest, slug: str) -> HttpResponse:
    """List what differs between two versions, a page at a time, by key."""
    dataset = access.dataset_for(request.user, slug)
    versions = versions_of(dataset)
    form = VersionsForm(request.GET or None, dataset=dataset)
    context: dict[str, Any] = {"dataset": dataset, "section": "versions", "versions": versions}
    if form.is_bound and form.is_valid():
        old, new = sorted(form.cleaned_data[name] for name in ("old", "new"))
        chosen = {version.number: version for version in versions if version.number in (old, new)}
        kind = request.GET.get("kind", "")
        is_newest = new == versions[0].number and old != new
        context["may_restore"] = is_newest and dataset.viewer_role in access.LEADS
        context |= _page(
            chosen[old], chosen[new], kind=kind if kind in KINDS else "",
            start=id_of(request.GET.get("after", "")) or 0,
        )  # fmt: skip
    return render(request, "quality/version_difference.html", context)


def _page(old: Version, new: Version, *, kind: str, start: int) -> dict[str, Any]:
    counts = counts_between(old, new)
    end = start + CHANGES_A_PAGE
    return {
        "old": old,
        "new": new,
        "kind": kind,
        "after": start,
        "rows": queries.explained(old, new, kind=kind, start=start, most=CHANGES_A_PAGE),
        "next": end if end < (counts.kinds.get(kind, 0) if kind else counts.total) else None,
        "counts": [
            {"kind": name, "words": WORDS[name], "n": counts.kinds[name]}
            for name in KINDS
            if counts.kinds.get(name)
        ],
        "total": counts.total,
        "test_items": counts.test_items,
        "classes": counts.classes,
    }
