"""A round of all items that Browse shows: any filter, list of keys or kind of flag."""

from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render

from labeling import access
from labeling.forms.asking import KINDS as ROUND_KINDS
from labeling.forms.asking import kind_of, usual
from labeling.models import RoundKind, RoundOrder
from labeling.services.asking import start_round
from labeling.services.rounds import NothingToAskError
from labeling.views.rounds import tell_left_out
from quality.detectors import KINDS
from quality.forms.asking import ShownRoundForm
from quality.queries import browse as queries
from quality.queries import chips
from quality.views.browse import shown_for


@login_required
def ask(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Ask about everything that the filter in the address shows."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    shown = shown_for(request, dataset)
    kind = kind_of(request.POST.get("kind") or request.GET.get("kind"))
    form = ShownRoundForm(
        request.POST or None, dataset=dataset, kind=kind, initial=usual(dataset, kind)
    )
    if form.is_valid():
        chosen = dict(form.cleaned_data)
        order = chosen.pop("order", "random")
        items = queries.ids_to_ask(shown, order=order)
        if order == RoundOrder.LEARNING:
            chosen["order"] = order
        try:
            made = start_round(dataset=dataset, items=items, by=request.user, **chosen)
        except NothingToAskError as error:
            form.add_error(None, str(error))
        else:
            tell_left_out(request, made, asked=items)
            to = "labeling:pilot" if made.kind == RoundKind.PILOT else "labeling:round"
            return redirect(to, slug, made.pk)
    titles = {name: str(kind.title) for name, kind in KINDS.items()}
    context = {
        "dataset": dataset,
        "section": "browse",
        "form": form,
        "chips": chips.chips_of(shown, kinds=titles),
        "asked": len(queries.ids_to_ask(shown, order="listed")),
        "query": shown.filter.query(),
        "kinds": ROUND_KINDS.items(),
        "kind": kind,
        "lead": ROUND_KINDS[RoundKind(kind)][1],
    }
    return render(request, "quality/ask.html", context, status=422 if form.errors else 200)
