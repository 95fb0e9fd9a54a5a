"""Cutting clips to their loudest second: what would come out, and doing it."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from labeling import access, tasks
from labeling.forms.ids import ids_of
from labeling.models import Dataset
from labeling.services import jobs
from quality.models import Proposal
from quality.queries import browse as queries
from quality.queries.filters import look_up, read_filter
from quality.queries.loudest import outlook, preview_of
from quality.services import cutting
from quality.services import selection as selecting


@login_required
def loudest(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Say which clips would be cut, each beside its cut; do it when that was confirmed.

    Single items come from a selection, all that Browse shows by its address.
    """
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    sent = request.POST if request.method == "POST" else request.GET
    items = [] if "all" in sent else ids_of(sent.getlist("items"))
    query = sent.get("back", "") if request.method == "POST" else request.GET.urlencode()
    chosen = items or _all_of(dataset, query)
    refusal = ""
    if "cut" in request.POST:
        try:
            job = cutting.open_cut(_selection(request, dataset, chosen))
        except selecting.TestItemsError:
            refusal = _("This changes test items. Tick that you want it, or leave them out.")
        except (selecting.NothingToChangeError, jobs.Refused, jobs.JobOpenError) as error:
            refusal = str(error)
        else:
            if isinstance(job, Proposal):
                messages.info(request, _("It waits for a second reviewer."))
                return redirect("quality:browse", slug)
            tasks.send(job)
            return redirect(job)
    context: dict[str, Any] = {
        "dataset": dataset,
        "section": "browse",
        "items": items,
        "query": query,
        "outlook": outlook(dataset, chosen),
        "most": queries.MOST_AT_ONCE,
        "refusal": refusal,
    }
    return render(request, "quality/loudest.html", context, status=422 if refusal else 200)


def _all_of(dataset: Dataset, query: str) -> list[int]:
    chosen = read_filter(QueryDict(query), media=dataset.media)
    return queries.ids_of(look_up(dataset, chosen, run=queries.run_of(dataset, chosen.run)))


def _selection(
    request: access.MemberRequest, dataset: Dataset, items: list[int]
) -> selecting.Selection:
    if len(items) > queries.MOST_AT_ONCE:
        words = _("At most %(n)s items are changed at once: narrow the filter.")
        raise selecting.NothingToChangeError(words % {"n": f"{queries.MOST_AT_ONCE:,}"})
    return selecting.Selection(
        dataset,
        items,
        by=request.user,
        test_confirmed="test_confirmed" in request.POST,
        without_test="without_test" in request.POST,
    )


@login_required
def after(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """A clip's loudest second beside it: where it lies, its waveform, its button."""
    item = access.item_for(request.user, slug, pk, roles=access.LEADS)
    context = {"dataset": item.dataset, "item": item, "found": preview_of(item)}
    return render(request, "quality/_loudest_after.html", context)


@login_required
def sound(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """The loudest second of a clip as a browser plays it; it is not stored."""
    found = preview_of(access.item_for(request.user, slug, pk, roles=access.LEADS))
    if found is None:
        return HttpResponse(_("Nothing would be cut."), status=422, content_type="text/plain")
    return HttpResponse(found.sound, content_type="audio/wav")


@login_required
def peaks(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """The waveform of the loudest second of a clip."""
    found = preview_of(access.item_for(request.user, slug, pk, roles=access.LEADS))
    if found is None:
        return HttpResponse(_("Nothing would be cut."), status=422, content_type="text/plain")
    return HttpResponse(found.peaks, content_type="application/octet-stream")
