"""All datasets of a person: what each holds, what waits in it, what is new."""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render

from labeling import access
from labeling.models import Role
from labeling.queries import datasets as queries
from labeling.queries.pages import page_of
from quality.queries.datasets import rows_of


@login_required
def dataset_list(request: access.MemberRequest) -> HttpResponse:
    """List the datasets that this person may see; archived ones when they are asked for."""
    theirs = queries.datasets_of(request.user)
    is_archive = request.GET.get("show") == "archived"
    choose = queries.archived if is_archive else queries.listed
    page = page_of(choose(theirs), request.GET.get("page"))
    shown: list[Any] = list(page)
    is_all = not is_archive and not page.has_other_pages()
    is_demo_only = bool(shown) and is_all and all(row.is_demo for row in shown)
    context = {
        "section": "datasets",
        "page": page,
        "datasets": shown,
        "rows": rows_of(shown, request.user),
        "leads": access.LEADS,
        "demo": shown[-1] if is_demo_only and shown[-1].role != Role.ANNOTATOR else None,
        "busy": any(row.n_jobs for row in shown),
        "is_archive": is_archive,
        "n_archived": 0 if is_archive else queries.archived(theirs).count(),
    }
    return render(request, "quality/datasets.html", context)
