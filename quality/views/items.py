"""One item with its permalink: media, facts, history, doubts, predictions, neighbours."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render

from labeling import access
from labeling.forms.datasets import ExampleForm
from labeling.forms.gold import GoldForm
from quality.detectors import KINDS
from quality.queries import browse, item_page
from quality.queries.filters import Filter
from quality.views.browse import for_actions, shown_for


@login_required
def item(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Everything that is known about one item; its neighbours in the filter stand beside it."""
    row = access.item_for(request.user, slug, pk)
    shown = shown_for(request, row.dataset)
    previous, following = browse.ids_around(shown, row)
    context = {
        "dataset": row.dataset,
        "section": "browse",
        "item": row,
        "query": shown.filter.query(),
        "filter": Filter(keys=(row.key,)),
        "previous": previous,
        "following": following,
        "kinds": {name: kind.title for name, kind in KINDS.items()},
        "is_small": item_page.is_small(row),
        "example_form": ExampleForm(dataset=row.dataset, initial={"label": row.label_id}),
        "gold_form": GoldForm(
            dataset=row.dataset, initial={"label": row.label_id}, auto_id="gold_%s"
        ),
        "may_lead": row.dataset.viewer_role in access.LEADS,
        **item_page.item_page(row),
        **for_actions(row.dataset, request.user),
    }
    return render(request, "quality/item.html", context)


@login_required
def item_in_files(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Versions, predictions and neighbours of an item; fetched after its page."""
    row = access.item_for(request.user, slug, pk)
    context = {"dataset": row.dataset, "item": row, **item_page.item_in_files(row)}
    return render(request, "quality/_item_files.html", context)
