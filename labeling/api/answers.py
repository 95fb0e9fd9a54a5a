"""The API of answering: claim items of a round, answer them."""

import uuid
from typing import Annotated, Any, Literal

from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from ninja import Field, Router, Schema, Status
from ninja.errors import HttpError

from labeling import access
from labeling.api.callers import Refusal, speaker
from labeling.api.datasets import ClassOut
from labeling.forms.ids import MOST_ID
from labeling.forms.rounds import MOST_CLAIMS, AnswerForm
from labeling.models import Annotation, Annotator, Dataset, Round, RoundItem, RoundKind, User
from labeling.queries import feedback
from labeling.queries import rounds as queries
from labeling.queries.qualifications import standing_in
from labeling.queries.waiting import waiting_in
from labeling.services import annotations, qualifications, rounds

router = Router()
RowId = Annotated[int, Field(ge=0, le=MOST_ID)]


class Claiming(Schema):
    round: RowId | None = Field(
        None, description="else the most urgent open round that has something for you"
    )
    count: int = Field(5, ge=1, le=MOST_CLAIMS)
    client_id: uuid.UUID | None = Field(
        None, description="made by you; sent again after a lost reply, it gets the same items"
    )


class ClaimedItem(Schema):
    item: int
    text: str
    media_url: str
    asked: ClassOut | None = Field(description="in a round that verifies: is it this class?")


class WaitingOut(Schema):
    state: str = Field(
        description="busy, yours, done, closed, paused, ended, unqualified; of a qualification"
        " that ended: passed, failed or waived"
    )
    with_others: int
    with_you: int
    next_free_seconds: int | None
    for_others: int = Field(description="items that only somebody else can answer")
    words: str


class ClaimsOut(Schema):
    round: int
    kind: str
    question: str
    classes: list[ClassOut]
    lease_seconds: int = Field(description="afterwards the items go to somebody else")
    items: list[ClaimedItem]
    waiting: WaitingOut | None = Field(description="why there are no items")


@router.post(
    "/datasets/{slug}/claims", response={200: ClaimsOut, 409: Refusal}, summary="Get items to label"
)
def claim(request: HttpRequest, slug: str, asked: Claiming) -> Any:
    """Reserve items of a round; answer them by POST /api/annotations."""
    user, now = speaker(request), timezone.now()
    open_to_them = _rounds(user, slug, asked.round)
    if not open_to_them:
        return Status(409, {"detail": "No open round of this dataset waits for you."})
    dataset = open_to_them[0].dataset
    annotator = annotations.annotator_for(dataset=dataset, user=user)
    claiming: Any = {"count": asked.count, "now": now, "client_id": asked.client_id}
    for asking in open_to_them:
        rows = rounds.claim_items(round=asking, annotator=annotator, **claiming)
        if rows:
            break
    else:
        asking = open_to_them[0]
        qualifications.end_attempt(asking=asking, annotator=annotator, now=now)
    return Status(
        200,
        {
            "round": asking.pk,
            "kind": asking.kind,
            "question": asking.asks,
            "classes": queries.current_classes(dataset),
            "lease_seconds": int(rounds.LEASE.total_seconds()),
            "items": [_claimed(asking, row) for row in rows],
            "waiting": None if rows else waiting_in(asking, annotator, now=now),
        },
    )


def _rounds(user: User, slug: str, pk: int | None) -> list[Round]:
    """Return the named round, else all that are open to this user, the most urgent first."""
    if pk is None:
        dataset = access.dataset_for(user, slug, roles=access.EVERYONE)
        return list(queries.open_rounds_for(user).filter(dataset=dataset))
    asking = access.round_for(user, pk)
    return [asking] if asking.dataset.slug == slug else []


def _claimed(asking: Round, row: RoundItem) -> dict[str, Any]:
    """Return nothing that hints at the answer: no key, no label unless it is asked about."""
    asks_about = row.item.label if asking.kind == RoundKind.VERIFY else None
    return {
        "item": row.item_id,
        "text": row.item.content.text,
        "media_url": reverse("labeling:media", args=[asking.dataset.slug, row.item_id, "original"]),
        "asked": asks_about,
    }


class Held(Schema):
    items: list[RowId] = Field(max_length=MOST_CLAIMS, description="as named by the claim")


@router.post("/rounds/{pk}/renew", response=Held, summary="Hold items longer")
def renew(request: HttpRequest, pk: int, held: Held) -> Any:
    """Begin the lease anew, each minute or so; the reply names what is still yours."""
    asking, annotator = _asked_of(request, pk)
    now = timezone.now()
    kept = rounds.renew_claims(round=asking, annotator=annotator, items=held.items, now=now)
    return {"items": kept}


class Released(Schema):
    released: int


@router.post("/rounds/{pk}/release", response=Released, summary="Give items back")
def release(request: HttpRequest, pk: int, held: Held) -> Any:
    """Let somebody else have what you hold, at once instead of when the lease runs out."""
    asking, annotator = _asked_of(request, pk)
    return {"released": rounds.release_items(round=asking, annotator=annotator, items=held.items)}


def _asked_of(request: HttpRequest, pk: int) -> tuple[Round, Annotator]:
    user = speaker(request)
    asking = access.round_for(user, pk)
    return asking, annotations.annotator_for(dataset=asking.dataset, user=user)


class NewAnnotation(Schema):
    client_id: uuid.UUID = Field(description="made by you; sending it again changes nothing")
    round: RowId
    item: RowId
    answer: Literal["class", "unsure", "unusable", "skip"]
    label: int | str | None = Field(None, description="id or name of a class, for answer “class”")
    reason: str = Field("", max_length=200)
    seconds: float | None = Field(None, ge=0)


class ExampleOut(Schema):
    text: str
    media_url: str
    note: str


class FeedbackOut(Schema):
    is_right: bool | None = Field(description="none where the known answer was retired meanwhile")
    known: str = Field(description="name of the right class; empty where it was retired")
    why: str
    examples: list[ExampleOut] = Field(description="right ones of the class, after a wrong answer")
    state: str = Field(description="of the attempt: begun, passed, failed or waived")
    left: int = Field(description="items that wait in this attempt")
    words: str = Field(description="where you stand and what comes next")


class AnnotationOut(Schema):
    client_id: uuid.UUID
    outcome: str = Field(description="counted, surplus, repeated or skipped")
    feedback: FeedbackOut | None = Field(
        None, description="only in a round of kind “qualify”, about an answer that counts"
    )


@router.post(
    "/annotations",
    response={200: AnnotationOut, 409: Refusal},
    summary="Answer",
    exclude_unset=True,
)
def annotate(request: HttpRequest, given: NewAnnotation) -> Any:
    """Keep one answer. The same client_id is one answer, however often it is sent.

    In a qualification the reply tells whether it was right, and where you stand.
    """
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
    except annotations.OwnAnswerError:
        words = f"You said yourself what item {given.item} is: somebody else must verify it."
        return Status(409, {"detail": words})
    except annotations.ClientIdUsedError:
        return Status(
            409, {"detail": "This client_id belongs to another answer. Make a new one for each."}
        )
    reply = {"client_id": given.client_id, "outcome": recorded.outcome}
    if asking.kind == RoundKind.QUALIFY and recorded.outcome == "counted":
        reply["feedback"] = _feedback(asking, recorded.annotation)
    return Status(200, reply)


def _feedback(asking: Round, given: Annotation) -> dict[str, Any]:
    told = feedback.feedback_on(given)
    standing = standing_in(asking, given.annotator)
    return {
        "is_right": told.is_right if told.is_known else None,
        "known": told.known,
        "why": told.why,
        "examples": told.examples,
        "state": standing.state,
        "left": standing.left,
        "words": f"{standing.words} {standing.next_step}".strip(),
    }


def _as_form(dataset: Dataset, given: NewAnnotation) -> dict[str, Any]:
    sent = given.dict()
    if isinstance(given.label, str):
        named = dict(dataset.classes.values_list("name", "pk"))
        if given.label not in named:
            raise HttpError(422, f"{dataset.slug} has no class named {given.label!r}.")
        sent["label"] = named[given.label]
    return sent
