"""Which changed copies the next training learns from, shown on some items."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from labeling import access
from quality.forms.runs import TrainForm
from quality.queries import augmentation as queries
from quality.queries.runs import open_job
from quality.services.augmentation import preview_of

KEPT_SECONDS = 3600  # the same changes of the same item give the same copy


@login_required
def augmentation(request: access.MemberRequest, slug: str) -> HttpResponse:
    """The changes with some items before and after each, and the button that trains with them.

    What is posted here is only shown, or carried from the page of runs to the training: ticks in
    an address would hold the form's token.
    """
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    context = {
        "dataset": dataset,
        "section": "runs",
        "form": TrainForm(request.POST or None, dated=False, media=dataset.media),
        "job": open_job(dataset, "train", "prove"),
        **queries.augmentation_page(dataset, request.POST.getlist("changes")),
    }
    return render(request, "quality/augmentation.html", context)


@login_required
def augmented(request: access.MemberRequest, slug: str, pk: int, changes: str) -> HttpResponse:
    """A changed copy of one item as a browser shows or plays it; it is not stored."""
    item = access.item_for(request.user, slug, pk, roles=access.LEADS)
    found = preview_of(item, changes)
    if found is None:
        words = _("There is no such copy of this item.")
        return HttpResponse(words, status=422, content_type="text/plain")
    content, mime = found
    response = HttpResponse(content, content_type=mime)
    response["Cache-Control"] = f"private, max-age={KEPT_SECONDS}"
    return response
