"""Whether the splits can be believed: what they share, pair by pair."""

from urllib.parse import urlencode

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponse
from django.shortcuts import render

from labeling import access
from quality.queries import splits as queries
from quality.queries.flags import last_checks
from quality.queries.runs import open_job


@login_required
def splits(request: access.MemberRequest, slug: str) -> HttpResponse:
    """The matrix of splits, what it means in words, and when copies were last looked for."""
    dataset = access.dataset_for(request.user, slug)
    context = {
        "dataset": dataset,
        "section": "checks",
        "has_items": dataset.items.exists(),
        "job": open_job(dataset, "detect"),
        "checked": last_checks(dataset).get("leakage"),
        **queries.context_of(dataset),
    }
    return render(request, "quality/splits.html", context)


@login_required
def ties(
    request: access.MemberRequest, slug: str, evidence: str, split: str, other: str
) -> HttpResponse:
    """The pairs that one cell of the matrix counts."""
    dataset = access.dataset_for(request.user, slug)
    if not queries.is_cell(evidence, split, other=other):
        raise Http404("no such cell")
    after = request.GET.get("after", "")
    page = queries.tied_page(dataset, evidence, split, other=other, after=after)
    context = {
        "dataset": dataset,
        "section": "checks",
        "title": queries.TITLES[evidence],
        "split": split,
        "other": other,
        "rows": page.rows,
        "first_url": request.path if after else "",
        "next_url": f"?{urlencode({'after': page.next})}" if page.next else "",
    }
    return render(request, "quality/ties.html", context)
