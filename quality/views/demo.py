"""The demo's page: what was planted against what was found."""

from itertools import groupby
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from labeling import access
from quality.demo.truth import Row
from quality.detectors import KINDS
from quality.services import demo

HEADINGS = {
    "label_error": _("Wrong labels"),
    "near_duplicate": _("Copies"),
    "leakage": _("Leaks between splits"),
    "silent_audio": _("Silent clips"),
    "clipped_audio": _("Clipped clips"),
    "cut_audio": _("Cut-off clips"),
    "file_fault": _("Files that are not what they say"),
    "rejected": _("Files that cannot be read"),
    "good": _("Odd but good: to be left alone"),
}


@login_required
def planted(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Compare, from the flags as they are now."""
    dataset = access.dataset_for(request.user, slug)
    if not dataset.is_demo:
        raise Http404("not a demo")
    rows = demo.planted_and_found(dataset)
    groups = [
        {
            "heading": HEADINGS.get(kind) or KINDS[kind].title,
            "kind": kind,
            "rows": [_shown(row, slug) for row in of_kind],
        }
        for kind, of_kind in groupby(rows, key=lambda row: row.kind)
    ]
    for group in groups:
        group["planted"] = sum(row["planted"] for row in group["rows"])
        group["found"] = sum(row["found"] for row in group["rows"])
        group["besides"] = sum(row["also_raised"] for row in group["rows"])
    checked = dataset.jobs.filter(kind="detect", state="done").order_by("-pk").first()
    waiting = dataset.jobs.filter(state__in=["queued", "running"]).order_by("pk").first()
    planned = [row for row in rows if row.kind != "good"]
    context = {
        "dataset": dataset,
        "section": "overview",
        "groups": groups,
        "all_planted": sum(row.planted for row in planned),
        "all_found": sum(row.found for row in planned),
        "all_besides": sum(row.also_raised for row in planned),
    }
    return render(request, "quality/demo.html", {**context, "checked": checked, "waiting": waiting})


def _shown(row: Row, slug: str) -> dict[str, Any]:
    """A row with the address of each fault that was missed."""
    browse = reverse("quality:browse", args=[slug])
    missed = [(keys, urlencode({"keys": "\n".join(keys.split())})) for keys in row.missed]
    return {**row.to_json(), "missed": [(keys, f"{browse}?{query}") for keys, query in missed]}
