"""My work, the annotation screen, and what that screen asks and sends."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from labeling import access
from labeling.forms.rounds import AnswerForm, ClaimForm, ItemsForm, WithdrawForm
from labeling.models import Annotator, Media, Round, RoundItem, RoundKind
from labeling.queries import rounds as queries
from labeling.services import annotations, rounds

MOST_ANSWERS_A_REQUEST = 50
RENEW_EVERY_SECONDS = 60
CLAIMS_AHEAD = 5

Sent = dict[str, Any]
Endpoint = Callable[[Round, Annotator, Sent], JsonResponse]


@login_required
def my_work(request: access.MemberRequest) -> HttpResponse:
    """List the open rounds that wait for this person."""
    today = queries.start_of_day(timezone.now())
    work = queries.work_for(request.user, today=today)
    context = {
        "section": "my_work",
        "work": [row for row in work if row.left],
        "finished": [row for row in work if not row.left],
        "answers_today": sum(row.mine_today for row in work),
    }
    return render(request, "labeling/my_work.html", context)


@login_required
def annotate(request: access.MemberRequest, pk: int) -> HttpResponse:
    """Show the screen on which one key answers; items come by `claims`."""
    asking = access.round_for(request.user, pk)
    dataset = asking.dataset
    annotator = annotations.annotator_for(dataset=dataset, user=request.user)
    choices = queries.choices(dataset)
    standing = queries.standing(asking, annotator)
    context = {
        "dataset": dataset,
        "section": "my_work",
        "round": asking,
        "is_verify": asking.kind == RoundKind.VERIFY,
        "choices": choices,
        "is_searchable": len(choices) > queries.CLASSES_WITH_KEYS,
        "reasons": queries.UNUSABLE_REASONS[Media(dataset.media)],
        "standing": standing,
        "settings": {
            "user": request.user.pk,
            "round": asking.pk,
            "kind": asking.kind,
            "media": dataset.media,
            "logout": reverse("logout"),
            "lease": rounds.LEASE.total_seconds(),
            "renew": RENEW_EVERY_SECONDS,
            "ahead": CLAIMS_AHEAD,
            "urls": {name: reverse(f"labeling:annotate_{name}", args=[pk]) for name in ENDPOINTS},
            **standing,
        },
    }
    return render(request, "labeling/annotate.html", context)


ENDPOINTS = ("claims", "answers", "withdraw", "release", "renew", "skipped", "status")


def endpoint(act: Endpoint) -> Callable[[HttpRequest, int], HttpResponse]:
    """Make a JSON endpoint of the screen: 401 when logged out, 409 for another person's."""

    @wraps(act)
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.is_authenticated:
            return JsonResponse({"error": "login"}, status=401)
        asking = access.round_for(request.user, pk)
        sent = _sent(request)
        if sent is None:
            return JsonResponse({"error": "not JSON"}, status=400)
        if str(sent.get("user", request.user.pk)) != str(request.user.pk):
            return JsonResponse({"error": "another user"}, status=409)
        annotator = annotations.annotator_for(dataset=asking.dataset, user=request.user)
        return act(asking, annotator, sent)

    return require_POST(view)


def _sent(request: HttpRequest) -> Sent | None:
    """Return what was posted as JSON, or as a form by a closing tab (sendBeacon)."""
    if request.content_type != "application/json":
        return request.POST.dict()
    try:
        sent = json.loads(request.body)
    except ValueError:
        return None
    return sent if isinstance(sent, dict) else None


@endpoint
def claims(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Reserve items; when there are none, say why."""
    form = ClaimForm(sent)
    if not form.is_valid():
        return _refused(form)
    now = timezone.now()
    rows = rounds.claim_items(
        round=asking, annotator=annotator, count=form.cleaned_data["count"], now=now
    )
    reply: dict[str, Any] = {"items": [_as_shown(asking, row) for row in rows]}
    if not rows:
        reply["waiting"] = vars(queries.waiting(asking, annotator, now=now))
    return JsonResponse(reply)


def _as_shown(asking: Round, row: RoundItem) -> dict[str, Any]:
    """Return what the screen shows of an item: nothing that hints at the answer, no key."""
    content, facts = row.item.content, row.item.content.facts
    slug, mark = asking.dataset.slug, f"?v={row.item.content_mark}"
    shown = {
        "item": row.item_id,
        "media": reverse("labeling:media", args=[slug, row.item_id, "display"]) + mark,
        "peaks": reverse("labeling:media", args=[slug, row.item_id, "preview"]) + mark,
        "seconds": facts.get("seconds"),
        "width": facts.get("width"),
        "text": content.text,
    }
    if asking.kind == RoundKind.VERIFY and row.item.label:
        shown["asked"] = {"id": row.item.label.pk, "name": row.item.label.name}
    return shown


@endpoint
def answers(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Keep answers; each is its own transaction, so that one refused answer stops no other."""
    given = sent.get("answers")
    if not isinstance(given, list) or len(given) > MOST_ANSWERS_A_REQUEST:
        return JsonResponse({"error": "a list of answers is expected"}, status=400)
    return JsonResponse({"answers": [_record(asking, annotator, one) for one in given]})


def _record(asking: Round, annotator: Annotator, given: Any) -> dict[str, Any]:
    form = AnswerForm(given if isinstance(given, dict) else {}, dataset=asking.dataset)
    reply = {"client_id": form.data.get("client_id")}
    if not form.is_valid():
        return {**reply, "outcome": "refused", "errors": form.errors.get_json_data()}
    try:
        recorded = annotations.record_annotation(
            round=asking, annotator=annotator, now=timezone.now(), **form.cleaned_data
        )
    except annotations.REFUSALS as error:
        return {**reply, "outcome": "refused", "errors": str(error)}
    return {**reply, "outcome": recorded.outcome}


@endpoint
def withdraw(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Take an answer back; its item is held again where a place is free."""
    form = WithdrawForm(sent)
    if not form.is_valid():
        return _refused(form)
    held = annotations.withdraw_annotation(
        round=asking, annotator=annotator, now=timezone.now(), **form.cleaned_data
    )
    return JsonResponse({"held": held})


@endpoint
def release(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Give back what a closing tab held."""
    form = ItemsForm(sent)
    if not form.is_valid():
        return _refused(form)
    released = rounds.release_items(round=asking, annotator=annotator, **form.cleaned_data)
    return JsonResponse({"released": released})


@endpoint
def renew(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Hold items longer; the reply names those that are still held."""
    form = ItemsForm(sent)
    if not form.is_valid():
        return _refused(form)
    held = rounds.renew_claims(
        round=asking, annotator=annotator, now=timezone.now(), **form.cleaned_data
    )
    return JsonResponse({"held": held})


@endpoint
def skipped(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Offer again what this person skipped."""
    returned = annotations.return_skipped(round=asking, annotator=annotator, now=timezone.now())
    return JsonResponse({"returned": returned})


def _refused(form: Any) -> JsonResponse:
    return JsonResponse({"errors": form.errors.get_json_data()}, status=400)


@require_GET
def status(request: HttpRequest, pk: int) -> HttpResponse:
    """Give a page whose log-in was renewed elsewhere its new CSRF token."""
    if not request.user.is_authenticated:
        return JsonResponse({"error": "login"}, status=401)
    asking = access.round_for(request.user, pk)
    annotator = annotations.annotator_for(dataset=asking.dataset, user=request.user)
    standing = queries.standing(asking, annotator)
    return JsonResponse({"user": request.user.pk, "csrf": get_token(request), **standing})
