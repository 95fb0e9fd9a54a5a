"""One item with its permalink: media, facts, history, doubts, predictions, neighbours."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render

from labeling import access


@login_required
def item(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Everything that is known about one item."""
    row = access.item_for(request.user, slug, pk)
    context = {"dataset": row.dataset, "section": "browse", "item": row}
    return render(request, "quality/item.html", context)
