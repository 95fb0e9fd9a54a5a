"""Browse: the grid with its filters, the histogram beside it, and what is done to a selection."""

import secrets
from dataclasses import replace
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render

from labeling import access
from labeling.models import Dataset, Split
from quality.detectors import KINDS
from quality.graphs import has_graph
from quality.queries import browse as queries
from quality.queries import chips
from quality.queries.filters import FACTS, Filter, Shown, look_up, read_filter

MOST_QUERY_ON_TILES = 600  # characters; a hundred links with pasted keys would weigh megabytes
RANDOM_SEEDS = 10**6


@login_required
def browse(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Items by the hundred, filtered by what stands in the address."""
    dataset = access.dataset_for(request.user, slug)
    shown = shown_for(request, dataset)
    page = queries.page_of(
        shown, after=request.GET.get("after", ""), before=request.GET.get("before", "")
    )
    facets = queries.facets_of(shown)
    kinds = {name: str(kind.title) for name, kind in KINDS.items()}
    context = {
        "dataset": dataset,
        "section": "browse",
        "filter": shown.filter,
        "facets": facets,
        "groups": chips.groups_of(shown, facets, kinds=kinds),
        "chips": chips.chips_of(shown, kinds=kinds),
        "sorts": chips.sorts_of(shown.filter),
        "carried": chips.carried(shown.filter),
        "facts": FACTS[dataset.media],
        "may_lead": dataset.viewer_role in access.LEADS,
        **_around(shown, page),
        **_for_actions(dataset),
    }
    return render(request, "quality/browse.html", context)


def _around(shown: Shown, page: queries.Page) -> dict[str, Any]:
    """Return the items of a page and the queries that lead away from it."""
    chosen = shown.filter
    query = chosen.query()
    carried = query if len(query) <= MOST_QUERY_ON_TILES else ""
    seed = secrets.randbelow(RANDOM_SEEDS)
    return {
        "query": query,
        "tiles": queries.tiles_of(shown.dataset, page.items, query=carried),
        "previous_query": chosen.query(before=page.previous) if page.previous else "",
        "next_query": chosen.query(after=page.next) if page.next else "",
        "last_query": chosen.query(before=queries.END) if page.next else "",
        "random_query": replace(chosen, random=seed).query(),
        "clear_query": Filter(sort=chosen.sort).query(),
    }


def _for_actions(dataset: Dataset) -> dict[str, Any]:
    return {
        "classes": list(dataset.classes.filter(retired_at=None)),
        "splits": Split.choices,
        "has_neighbours": has_graph(dataset.pk),
    }


def shown_for(request: access.MemberRequest, dataset: Dataset) -> Shown:
    """Return what the address asks for."""
    chosen = read_filter(request.GET, media=dataset.media)
    return look_up(dataset, chosen, run=queries.run_of(dataset, chosen.run))
