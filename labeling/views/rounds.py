"""Rounds as a lead sees them: all, one, a new one."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.asking import KINDS, ChangeForm, RoundForm, kind_of, usual
from labeling.forms.rounds import ExtendForm
from labeling.models import Round, RoundKind
from labeling.queries import annotators, fair_share, feedback, gold, guards, qualifications
from labeling.queries import rounds as queries
from labeling.queries.crowd import findings_of
from labeling.queries.disputes import disputes, open_disputes
from labeling.queries.pages import page_of
from labeling.queries.progress import crowd, progress
from labeling.queries.settling import SETTLED_BY_CROWD
from labeling.services import changing, rounds
from labeling.services.asking import start_round
from labeling.services.settling import LEAST_SURE


@login_required
def round_list(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List the rounds of a dataset with how far they are."""
    dataset = access.dataset_for(request.user, slug)
    page = page_of(queries.rounds_of(dataset), request.GET.get("page"))
    context = {
        "dataset": dataset,
        "section": "annotate",
        "page": page,
        "rounds": page.object_list,
        "stopped": len(guards.stopped_in(dataset)),
        "may_lead": dataset.viewer_role in access.LEADS,
    }
    return render(request, "labeling/rounds.html", context)


@login_required
def new_round(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Ask about items: in which way, which, whom, how often."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    kind = kind_of(request.POST.get("kind") or request.GET.get("kind"))
    form = RoundForm(request.POST or None, dataset=dataset, kind=kind, initial=usual(dataset, kind))
    if form.is_valid():
        chosen = form.chosen()
        try:
            made = start_round(dataset=dataset, by=request.user, **chosen)
        except rounds.NothingToAskError as error:
            form.add_error("which" if "which" in form.fields else None, str(error))
        else:
            tell_left_out(request, made, asked=chosen.get("items", ()))
            to = "labeling:pilot" if made.kind == RoundKind.PILOT else "labeling:round"
            return redirect(to, dataset.slug, made.pk)
    context = {
        "dataset": dataset,
        "section": "annotate",
        "form": form,
        "has_items": dataset.items.exists(),
        "kinds": KINDS.items(),
        "kind": kind,
        "lead": KINDS[RoundKind(kind)][1],
    }
    status = 422 if form.errors else 200
    return render(request, "labeling/round_new.html", context, status=status)


def tell_left_out(request: access.MemberRequest, made: Round, *, asked: Sequence[int]) -> None:
    """Say how many items are not asked about: excluded, known, or shown by the guideline."""
    if n := len(queries.excluded_of(made.dataset, asked)):
        words = ngettext(
            "%(n)s item is excluded and left out.", "%(n)s items are excluded and left out.", n
        )
        messages.info(request, words % {"n": n})
    if n := gold.left_out(made, asked):
        words = ngettext(
            "%(n)s item is a check item, its answer known, and left out.",
            "%(n)s items are check items, their answers known, and left out.",
            n,
        )
        messages.info(request, words % {"n": n})
    n = queries.left_out(made, asked)
    if n:
        words = ngettext(
            "%(n)s item is an example of the guideline and left out.",
            "%(n)s items are examples of the guideline and left out.",
            n,
        )
        messages.info(request, words % {"n": n})


@login_required
def round_page(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Show one round: progress, pace, people, disputed items."""
    asking = access.round_in(request.user, slug, pk)
    return _round_page(request, asking)


def _round_page(
    request: access.MemberRequest, asking: Round, *, form: ExtendForm | None = None
) -> HttpResponse:
    now = timezone.now()
    people = crowd(asking, now=now)
    far = progress(asking, now=now, people=people)
    context: dict[str, Any] = {
        "dataset": asking.dataset,
        "section": "annotate",
        "round": asking,
        "progress": far,
        "answers_an_item": asking.answers_wanted if asking.confident else far.most,
        "by_experts": asking.kind not in SETTLED_BY_CROWD,
        "found": findings_of(asking.dataset),
        "least_sure": LEAST_SURE,
        "crowd": people,
        "disputes": disputes(asking),
        "model": fair_share.model_accuracy(asking),
        "undecided": open_disputes(asking.dataset, round=asking.pk).count(),
        "extend_form": form or ExtendForm(dataset=asking.dataset),
        "page": page_of(annotators.questions_of(asking), request.GET.get("page")),
        "may_lead": asking.dataset.viewer_role in access.LEADS,
        "required_by": asking.required_by.order_by("pk"),
    }
    if asking.kind == RoundKind.QUALIFY:
        context |= {
            "standings": qualifications.standings_of(asking),
            "items": feedback.items_of(asking),
        }
    status = 422 if form else 200
    return render(request, "labeling/round.html", context, status=status)


@login_required
@require_POST
def extend(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Ask about further items at the end, or give more time."""
    asking = access.round_in(request.user, slug, pk, roles=access.LEADS)
    form = ExtendForm(request.POST, dataset=asking.dataset)
    if not form.is_valid():
        return _round_page(request, asking, form=form)
    keys, deadline = form.cleaned_data["keys"], form.cleaned_data["deadline"]
    items = queries.items_to_ask(asking.dataset, which="keys", keys=keys)
    wanted = asking.answers_wanted
    try:
        added = rounds.extend_round(asking=asking, items=items, answers_wanted=wanted)
    except rounds.NothingToAskError as refusal:
        form.add_error("keys", str(refusal))
        return _round_page(request, asking, form=form)
    tell_left_out(request, asking, asked=items)
    if deadline:
        rounds.set_deadline(asking=asking, deadline=deadline)
    messages.success(request, _("%(n)d further items are asked about.") % {"n": len(added)})
    return redirect("labeling:round", slug, pk)


@login_required
def change(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Change a round that runs."""
    asking = access.round_in(request.user, slug, pk, roles=access.LEADS)
    form = ChangeForm(request.POST or None, asking=asking)
    if form.is_valid():
        chosen = {name: form.cleaned_data[name] for name in form.fields}
        changing.change_round(asking=asking, **chosen)
        messages.success(request, _("Changed. What was answered stays."))
        return redirect("labeling:round", slug, pk)
    context = {"dataset": asking.dataset, "section": "annotate", "round": asking, "form": form}
    status = 422 if form.errors else 200
    return render(request, "labeling/round_change.html", context, status=status)


@login_required
@require_POST
def close(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Hand out nothing more of a round."""
    asking = access.round_in(request.user, slug, pk, roles=access.LEADS)
    rounds.close_round(asking=asking, now=timezone.now())
    return redirect("labeling:round", slug, pk)


@login_required
@require_POST
def reopen(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Hand out what is left of a closed round."""
    asking = access.round_in(request.user, slug, pk, roles=access.LEADS)
    try:
        rounds.reopen_round(asking=asking)
    except rounds.NothingToAskError as refusal:
        messages.error(request, str(refusal))
    return redirect("labeling:round", slug, pk)
