"""The API of answering: claim items of a round, answer them."""

import uuid
from typing import Any, Literal

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from labeling import access
from labeling.api.callers import Refusal, speaker
from labeling.api.datasets import ClassOut
from labeling.forms.rounds import MOST_CLAIMS, AnswerForm
from labeling.models import Dataset, Round, RoundItem, User
from labeling.queries import rounds as rounds_queries
from labeling.services import annotations, rounds

router = Router()


class Claiming(Schema):
    round: int | None = Field(None, description="else the first open round that waits for you")
    count: int = Field(5, ge=1, le=MOST_CLAIMS)


class ClaimedItem(Schema):
    item: int
    text: str
    media_url: str


class ClaimsOut(Schema):
    round: int
    kind: str
    question: str
    classes: list[ClassOut]
    lease_seconds: int = Field(description="afterwards the items go to somebody else")
    items: list[ClaimedItem]


@router.post(
    "/datasets/{slug}/claims", response={200: ClaimsOut, 409: Refusal}, summary="Get items to label"
)
def claim(request: HttpRequest, slug: str, asked: Claiming) -> Any:
    """Reserve items of a round; answer them by POST /api/annotations."""
    user = speaker(request)
    dataset = access.dataset_for(user, slug, roles=access.EVERYONE)
    asking = _round(user, dataset, asked.round)
    if asking is None:
        return Status(409, {"detail": "No open round of this dataset waits for you."})
    annotator = annotations.annotator_for(dataset=dataset, user=user)
    rows = rounds.claim_items(
        round=asking, annotator=annotator, count=asked.count, now=timezone.now()
    )
    return Status(
        200,
        {
            "round": asking.pk,
            "kind": asking.kind,
            "question": dataset.question,
            "classes": [row for row in dataset.classes.all() if row.retired_at is None],
            "lease_seconds": int(rounds.LEASE.total_seconds()),
            "items": [_claimed(dataset, row) for row in rows],
        },
    )


def _round(user: User, dataset: Dataset, pk: int | None) -> Round | None:
    if pk is None:
        today = rounds_queries.start_of_day(timezone.now())
        work = rounds_queries.work_for(user, today=today)
        mine = [row.round for row in work if row.round.dataset_id == dataset.pk and row.left]
        return mine[0] if mine else None
    asking = access.round_for(user, pk)
    return asking if asking.dataset_id == dataset.pk else None


def _claimed(dataset: Dataset, row: RoundItem) -> dict[str, Any]:
    """Return nothing that hints at the answer: no key, no label."""
    return {
        "item": row.item_id,
        "text": row.item.content.text,
        "media_url": reverse("labeling:media", args=[dataset.slug, row.item_id, "original"]),
    }


class NewAnnotation(Schema):
    client_id: uuid.UUID = Field(description="made by you; sending it again changes nothing")
    round: int
    item: int
    answer: Literal["class", "unsure", "unusable", "skip"]
    label: int | str | None = Field(None, description="id or name of a class, for answer “class”")
    reason: str = Field("", max_length=200)
    seconds: float | None = Field(None, ge=0)


class AnnotationOut(Schema):
    client_id: uuid.UUID
    outcome: str = Field(description="counted, surplus, repeated or skipped")


@router.post("/annotations", response={200: AnnotationOut, 409: Refusal}, summary="Answer")
def annotate(request: HttpRequest, given: NewAnnotation) -> Any:
    """Keep one answer. The same client_id is one answer, however often it is sent."""
    user = speaker(request)
    asking = access.round_for(user, given.round)
    form = AnswerForm(_as_form(asking.dataset, given), dataset=asking.dataset)
    if not form.is_valid():
        raise HttpError(422, "; ".join(str(words[0]) for words in form.errors.values()))
    annotator = annotations.annotator_for(dataset=asking.dataset, user=user)
    try:
        recorded = annotations.record_annotation(
            round=asking, annotator=annotator, now=timezone.now(), **form.cleaned_data
        )
    except annotations.NotInRoundError:
        return Status(409, {"detail": f"Item {given.item} is not in round {given.round}."})
    except annotations.ClientIdUsedError:
        return Status(
            409, {"detail": "This client_id belongs to another answer. Make a new one for each."}
        )
    return Status(200, {"client_id": given.client_id, "outcome": recorded.outcome})


def _as_form(dataset: Dataset, given: NewAnnotation) -> dict[str, Any]:
    sent = given.dict()
    if isinstance(given.label, str):
        named = dataset.classes.filter(name=given.label).first()
        if named is None:
            raise HttpError(422, f"{dataset.slug} has no class named {given.label!r}.")
        sent["label"] = named.pk
    return sent
