"""The annotation screen, and what it asks and sends."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from labeling import access
from labeling.forms.ids import id_of
from labeling.forms.rounds import (
    AnswerForm,
    ClaimForm,
    ItemsForm,
    QuestionForm,
    SeenForm,
    WithdrawForm,
)
from labeling.models import Annotation, Annotator, Item, Media, Round, RoundKind
from labeling.queries import annotators, feedback, guards, qualifications
from labeling.queries import guidelines as guidelines_queries
from labeling.queries import rounds as queries
from labeling.queries.waiting import waiting_in
from labeling.services import annotations, guidelines, questions, rounds
from labeling.services import qualifications as qualifying

MOST_ANSWERS_A_REQUEST = 50
RENEW_EVERY_SECONDS = 60
CLAIMS_AHEAD = 5
CLASSES_IN_ONE_COLUMN = 12  # more do not fit above the other answers
SHORT_NAME = 10  # characters that can be read in half the width

Sent = dict[str, Any]
Endpoint = Callable[[Round, Annotator, Sent], JsonResponse]


@login_required
def annotate(request: access.MemberRequest, pk: int) -> HttpResponse:
    """Show the screen on which one key answers; items come by `claims`."""
    asking = access.round_for(request.user, pk)
    annotator = annotations.annotator_for(dataset=asking.dataset, user=request.user)
    choices = queries.choices(asking.dataset)
    given = queries.given_in(asking, annotator)
    context: dict[str, Any] = {
        "dataset": asking.dataset,
        "section": "my_work",
        "round": asking,
        "is_verify": asking.kind == RoundKind.VERIFY,
        "is_qualify": asking.kind == RoundKind.QUALIFY,
        "choices": choices,
        "is_searchable": any(not choice.code for choice in choices),
        "is_long": len(choices) > CLASSES_IN_ONE_COLUMN,
        "is_short_worded": all(len(choice.name) <= SHORT_NAME for choice in choices),
        "reasons": queries.UNUSABLE_REASONS[Media(asking.dataset.media)],
        "examples": guidelines_queries.examples_of(asking.guideline),
        "standing": standing,
    }
    changing = annotators.answer_to_change(asking, annotator, id_of(request.GET.get("item", "")))
    context["settings"] = {
        **_settings(asking, annotator),
        **given,
        "user": request.user.pk,
        "recent": [_as_given(asking, row) for row in annotators.last_answers(asking, annotator)],
        "change": changing and _as_given(asking, changing),
    }
    return render(request, "labeling/annotate.html", context)


def _settings(asking: Round, annotator: Annotator) -> dict[str, Any]:
    """Return what the scripts of the screen are told about a round."""
    guideline = asking.guideline
    is_changed = (
        guideline and not asking.wording and annotator.guideline_seen_id not in (None, guideline.pk)
    )
    urls = {name: reverse(f"labeling:annotate_{name}", args=[asking.pk]) for name in ENDPOINTS}
    return {
        "round": asking.pk,
        "kind": asking.kind,
        "media": asking.dataset.media,
        "guideline": guideline and guideline.pk,
        "isGuidelineChanged": bool(is_changed),
        "isGuidelineNew": bool(guideline and annotator.guideline_seen_id is None),
        "logout": reverse("logout"),
        "lease": rounds.LEASE.total_seconds(),
        "renew": RENEW_EVERY_SECONDS,
        "ahead": CLAIMS_AHEAD,
        "urls": urls,
    }


def _as_given(asking: Round, row: Annotation) -> dict[str, Any]:
    """Return an own answer with its item, so that the screen can undo or change it."""
    said = annotators.words_for(row.answer, label=row.label, asked=row.asked)
    shown = _as_shown(asking, row.item)
    if row.asked:
        shown["asked"] = {"id": row.asked.pk, "name": row.asked.name}
    return {"client_id": row.client_id, "answer": row.answer, "said": said, "entry": shown}


ENDPOINTS = (
    *("claims", "answers", "withdraw", "release", "renew", "skipped", "status"),
    *("question", "seen", "guideline", "standing"),
)


GONE = {"error": "gone"}


def endpoint(act: Endpoint) -> Callable[[HttpRequest, int], HttpResponse]:
    """Make a JSON endpoint of the screen: 401 when logged out, 409 for another person's.

    Its 401 and 404 are JSON too, which tells them from those of a proxy.
    """

    @wraps(act)
    def view(request: HttpRequest, pk: int) -> HttpResponse:
        if not request.user.is_authenticated:
            return JsonResponse({"error": "login"}, status=401)
        try:
            asking = access.round_for(request.user, pk)
        except Http404:
            return JsonResponse(GONE, status=404)
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
    except (ValueError, RecursionError):
        return None
    if b"\\u" in request.body:  # half an emoji, as a cut text ends with, fits in no database
        sent = json.loads(json.dumps(sent, ensure_ascii=False).encode(errors="replace"))
    return sent if isinstance(sent, dict) else None


@endpoint
def claims(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Reserve items; when there are none, say why."""
    form = ClaimForm(sent)
    if not form.is_valid():
        return _refused(form)
    now = timezone.now()
    rows = rounds.claim_items(round=asking, annotator=annotator, now=now, **form.cleaned_data)
    returned = 0
    if not rows:
        qualifying.end_attempt(asking=asking, annotator=annotator, now=now)
        returned = annotations.return_parked(round=asking, annotator=annotator, now=now)
    if returned:
        rows = rounds.claim_items(round=asking, annotator=annotator, now=now, **form.cleaned_data)
    items = [row.item for row in rows]
    suggested = annotators.suggestions_for(asking, annotator, items)
    shown = [{**_as_shown(asking, item), "suggestion": suggested.get(item.pk)} for item in items]
    reply: dict[str, Any] = {
        "items": shown,
        "guideline": asking.guideline_id,
        "returned": returned,
        "notice": guards.warning_for(annotator, now=now),
    }
    if not rows:
        reply["waiting"] = vars(waiting_in(asking, annotator, now=now))
    return JsonResponse(reply)


def _as_shown(asking: Round, item: Item) -> dict[str, Any]:
    """Return what the screen shows of an item: nothing that hints at the answer, no key."""
    content, facts = item.content, item.content.facts
    slug, mark = asking.dataset.slug, f"?v={item.content_mark}"
    shown = {
        "item": item.pk,
        "media": reverse("labeling:media", args=[slug, item.pk, "display"]) + mark,
        "peaks": reverse("labeling:media", args=[slug, item.pk, "preview"]) + mark,
        "seconds": facts.get("seconds"),
        "peak": facts.get("peak"),
        "width": facts.get("width"),
        "text": content.text,
    }
    if asking.kind == RoundKind.VERIFY and item.label:
        shown["asked"] = {"id": item.label.pk, "name": item.label.name}
    return shown


@endpoint
def answers(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Keep answers; each is its own transaction, so that one refused answer stops no other."""
    given = sent.get("answers")
    if not isinstance(given, list) or len(given) > MOST_ANSWERS_A_REQUEST:
        return JsonResponse({"error": "a list of answers is expected"}, status=400)
    recorded = [_record(asking, annotator, one) for one in given]
    is_stopped = (
        guards.stop_of(annotator) is not None
    )  # then what the page holds ahead is not theirs
    return JsonResponse({"answers": recorded, "stopped": is_stopped})


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
    reply |= {"outcome": recorded.outcome}
    if asking.kind == RoundKind.QUALIFY and recorded.outcome == "counted":
        reply["feedback"] = _feedback(asking, recorded.annotation)
    return reply


def _feedback(asking: Round, given: Annotation) -> str:
    """Return what the screen shows after an answer of a qualification."""
    standing = qualifications.standing_in(asking, given.annotator)
    context = {
        "dataset": asking.dataset,
        "feedback": feedback.feedback_on(given),
        "said": annotators.words_for(given.answer, label=given.label, asked=None),
        "standing": standing,
    }
    return render_to_string("labeling/_feedback.html", context)


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
def question(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Keep a question to the lead."""
    form = QuestionForm(sent, dataset=asking.dataset)
    if not form.is_valid():
        return _refused(form)
    kept = questions.ask_lead(round=asking, annotator=annotator, **form.cleaned_data)
    return JsonResponse({"question": kept.pk})


@endpoint
def seen(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Remember that a version of the guideline was shown."""
    form = SeenForm(sent, dataset=asking.dataset)
    if not form.is_valid():
        return _refused(form)
    guidelines.mark_seen(annotator=annotator, **form.cleaned_data)
    return JsonResponse({"seen": form.cleaned_data["guideline"].pk})


@login_required
@require_GET
def guideline(request: access.MemberRequest, pk: int) -> HttpResponse:
    """Show the guideline that holds now, as the screen puts it beside the item."""
    asking = access.round_for(request.user, pk)
    context = {
        "round": asking,
        "dataset": asking.dataset,
        "examples": guidelines_queries.examples_of(asking.guideline),
    }
    return render(request, "labeling/_guideline.html", context)


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
    try:
        access.round_for(request.user, pk)
    except Http404:
        return JsonResponse(GONE, status=404)
    return JsonResponse({"user": request.user.pk, "csrf": get_token(request)})


@endpoint
def standing(asking: Round, annotator: Annotator, sent: Sent) -> JsonResponse:
    """Count what is left, which the screen asks for when its first item is on its way."""
    return JsonResponse(queries.standing(asking, annotator))
