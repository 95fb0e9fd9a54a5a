"""The log of decisions as a page and as a CSV, both filtered."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render

from labeling import access
from labeling.forms.ids import id_of
from quality.detectors import KINDS
from quality.forms.versions import LogForm
from quality.queries import log as queries
from quality.queries import settled
from quality.queries.exports import decided
from quality.views.runs import csv_response


@login_required
def log(request: HttpRequest, slug: str) -> HttpResponseBase:
    """List decisions, newest first; `format=csv` gives all that the filter lets through.

    What answers of rounds made of labels stands beside them, a line a round.
    """
    dataset = access.dataset_for(request.user, slug)
    form = LogForm(request.GET, dataset=dataset)
    wanted = form.cleaned_data if form.is_valid() else {}
    rows = queries.decisions_of(dataset, wanted)
    if request.GET.get("format") == "csv":
        return csv_response(decided(dataset, wanted), name=f"{slug}-decisions.csv")
    before = id_of(request.GET.get("before", "")) or 0
    found = queries.entries_of(dataset, rows, before=before)
    by_rounds = [] if before else settled.settled_by_rounds(dataset, wanted)
    return _page(request, form, found, by_rounds, before=before)


def _page(
    request: HttpRequest,
    form: LogForm,
    found: list[queries.Entry],
    by_rounds: list[settled.Settled],
    *,
    before: int,
) -> HttpResponse:
    shown = found[: queries.DECISIONS_A_PAGE]
    query = request.GET.copy()
    for name in ("before", "format"):
        query.pop(name, None)
    context = {
        "dataset": form.dataset,
        "section": "review",
        "form": form,
        "kinds": {name: kind.title for name, kind in KINDS.items()},
        "entries": shown,
        "by_rounds": by_rounds,
        "next": shown[-1].decision.pk if len(found) > len(shown) else 0,
        "before": before,
        "query": query.urlencode(),
        "is_filtered": any(query.values()),
    }
    return render(request, "quality/log.html", context)
