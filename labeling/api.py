"""The JSON API of people's work: datasets, items, claims, answers, jobs."""

import io
import json
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any, Literal

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from ninja import Field, Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import TypeAdapter, ValidationError

from labeling import access, tasks
from labeling.forms.rounds import MOST_CLAIMS, AnswerForm
from labeling.models import Dataset, Item, Job, Media, Round, RoundItem, Upload, User
from labeling.queries import api as queries
from labeling.queries import rounds as rounds_queries
from labeling.services import annotations, datasets, members, rounds
from labeling.services.intake import receiving

router = Router()
MOST_TEXT_ITEMS = 10_000  # of one request; send more in several
MOST_ITEMS_A_PAGE = 1_000


class Refusal(Schema):
    """Why it was not done, in words."""

    detail: str


def speaker(request: HttpRequest) -> User:
    """Return who the token speaks for."""
    assert isinstance(request.user, User)
    return request.user


# ---- datasets ----


class NewDataset(Schema):
    name: str = Field(min_length=1, max_length=120)
    media: Literal["image", "audio", "text"]
    slug: str = Field("", max_length=80, pattern=r"^[a-z0-9_-]*$")
    question: str = Field("", max_length=200)
    classes: list[str] = []
    task_card: dict[str, str] = {}
    answers_wanted: int = Field(1, ge=1, le=50)


class ClassOut(Schema):
    id: int
    name: str
    role: str


class DatasetOut(Schema):
    slug: str
    name: str
    media: str
    question: str
    classes: list[ClassOut]


@router.post("/datasets", response={201: DatasetOut, 409: Refusal}, summary="Make a dataset")
def create_dataset(request: HttpRequest, new: NewDataset) -> Any:
    """Whoever makes it owns it. Classes may also come later, from the labels of items."""
    try:
        made = datasets.create_dataset(by=speaker(request), **new.dict())
    except datasets.NameTakenError as taken:
        return Status(409, {"detail": str(taken)})
    return Status(201, _dataset(made))


def _dataset(dataset: Dataset) -> dict[str, Any]:
    named = ("slug", "name", "media", "question")
    return {name: getattr(dataset, name) for name in named} | {
        "classes": list(dataset.classes.all())
    }


# ---- items ----


class TextItem(Schema):
    key: str = Field(min_length=1, max_length=400)
    text: str
    label: str | None = None
    split: Literal["train", "validation", "test", "none"] | None = None
    group: str = ""
    captured_at: datetime | None = None
    metadata: dict[str, str | int | float | bool | None] = {}


class ImportOut(Schema):
    upload: int
    job: int
    url: str = Field(description="the page with progress and report")


ITEMS_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "array",
                    "maxItems": MOST_TEXT_ITEMS,
                    "items": TextItem.json_schema(),
                }
            },
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "files": {"type": "array", "items": {"type": "string", "format": "binary"}}
                    },
                }
            },
        },
    }
}


@router.post(
    "/datasets/{slug}/items",
    response={202: ImportOut},
    openapi_extra=ITEMS_BODY,
    summary="Import texts, or files",
)
def add_items(request: HttpRequest, slug: str) -> Any:
    """Texts as a JSON list, or files (also a zip, or a table beside them) as multipart “files”.

    The answer comes when everything lies on the disk; a job then opens each file once. Ask
    GET /api/jobs/{id} how far it is.
    """
    dataset = access.dataset_for(speaker(request), slug, roles=access.LEADS)
    files: list[tuple[str, Any]]
    if request.content_type == "application/json":
        if dataset.media != Media.TEXT:
            raise HttpError(
                409, f"{slug} holds {dataset.media}: send files as multipart/form-data."
            )
        files = [_as_table(_texts(request.body))]
    else:
        files = [(str(file.name), file) for file in request.FILES.getlist("files")]
    if not files:
        raise HttpError(422, "Send texts as a JSON list, or files as multipart field “files”.")
    upload = _store(dataset, files, by=speaker(request))
    job = receiving.start_import(upload=upload, by=speaker(request))
    tasks.send(job)
    url = reverse("labeling:upload", args=[slug, upload.pk])
    return Status(202, {"upload": upload.pk, "job": job.pk, "url": url})


def _texts(body: bytes) -> list[TextItem]:
    try:
        sent = TypeAdapter(list[TextItem]).validate_json(body)
    except ValidationError as errors:
        raise HttpError(422, in_words(errors.errors())) from errors
    if len(sent) > MOST_TEXT_ITEMS:
        raise HttpError(422, f"At most {MOST_TEXT_ITEMS} texts in one request.")
    return sent


def in_words(errors: Sequence[Any]) -> str:
    """Return what is wrong with what was sent, one sentence a mistake."""
    places = (".".join(str(part) for part in error["loc"]) for error in errors[:20])
    return "; ".join(f"{place}: {error['msg']}" for place, error in zip(places, errors))


def _as_table(texts: Sequence[TextItem]) -> tuple[str, io.BytesIO]:
    lines = []
    for item in texts:
        row = {**item.metadata, **item.model_dump(mode="json", exclude={"metadata"})}
        lines.append(
            json.dumps({name: value for name, value in row.items() if value not in (None, "")})
        )
    return "items.jsonl", io.BytesIO("\n".join(lines).encode())


def _store(dataset: Dataset, files: Sequence[tuple[str, IO[bytes]]], *, by: User) -> Upload:
    size = sum(file.size or 0 for _, file in files if isinstance(file, UploadedFile))
    upload = receiving.open_upload(
        dataset=dataset, name=f"API, {len(files)} files", options={}, size=size, by=by
    )
    receiving.receive_files(upload=upload, files=files)
    return upload


class ItemOut(Schema):
    id: int
    key: str
    label: str | None
    label_source: str
    split: str
    group: str
    excluded: str
    captured_at: datetime | None
    metadata: dict[str, Any]
    text: str | None = Field(description="of a text item")
    media_url: str


class ItemPage(Schema):
    items: list[ItemOut]
    next: int | None = Field(description="send it as `after` to go on; null at the end")


class ItemFilter(Schema):
    after: int = Field(0, description="the `next` of the page before")
    limit: int = Field(100, ge=1, le=MOST_ITEMS_A_PAGE)
    split: Literal["train", "validation", "test", "none"] | None = None
    label: str | None = Field(None, description="name of a class; empty: without a label")


@router.get("/datasets/{slug}/items", response=ItemPage, summary="List items")
def list_items(request: HttpRequest, slug: str, asked: Query[ItemFilter]) -> dict[str, Any]:
    """Items in the order in which they came, page by page, each as fast as the first."""
    dataset = access.dataset_for(speaker(request), slug)
    rows = queries.items_after(
        dataset, after=asked.after, limit=asked.limit, split=asked.split, label=asked.label
    )
    return {
        "items": [_item(dataset, row) for row in rows[: asked.limit]],
        "next": rows[asked.limit - 1].pk if len(rows) > asked.limit else None,
    }


def _item(dataset: Dataset, row: Item) -> dict[str, Any]:
    return {
        "id": row.pk,
        "key": row.key,
        "label": row.label.name if row.label else None,
        "label_source": row.label_source,
        "split": row.split,
        "group": row.source_group,
        "excluded": row.excluded,
        "captured_at": row.captured_at,
        "metadata": row.metadata,
        "text": row.content.text if dataset.media == Media.TEXT else None,
        "media_url": reverse("labeling:media", args=[dataset.slug, row.pk, "original"]),
    }


# ---- answering ----


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


# ---- jobs ----


class JobOut(Schema):
    id: int
    kind: str
    dataset: str | None
    state: str
    done: int
    total: int
    message: str
    attempt: int
    result: dict[str, Any]
    error: str
    created_at: datetime
    finished_at: datetime | None


@router.get("/jobs/{pk}", response=JobOut, summary="Watch a job")
def job(request: HttpRequest, pk: int) -> dict[str, Any]:
    """How far a piece of background work is: queued, running, done, failed or cancelled."""
    return job_out(access.job_for(speaker(request), pk))


def job_out(row: Job) -> dict[str, Any]:
    """Return what the API says of a job."""
    named = ("kind", "state", "done", "total", "message", "attempt", "result")
    plain = {name: getattr(row, name) for name in named}
    dates = {"created_at": row.created_at, "finished_at": row.finished_at}
    slug = row.dataset.slug if row.dataset else None
    return {"id": row.pk, "dataset": slug, "error": row.error.split("\n")[0], **plain, **dates}


# ---- who speaks ----


def user_of(text: str) -> User | None:
    """Return who a bearer token speaks for."""
    return members.user_of_token(text=text, now=timezone.now())
