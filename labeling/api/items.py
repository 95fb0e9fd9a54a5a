"""The API of items: import texts or files, list what is there."""

import io
import json
from collections.abc import Sequence
from datetime import datetime
from typing import IO, Any, Literal

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import ngettext
from ninja import Field, Query, Router, Schema, Status
from ninja.errors import HttpError
from pydantic import TypeAdapter, ValidationError

from labeling import access, tasks
from labeling.api.callers import in_words, one_of, speaker
from labeling.models import Dataset, Item, Media, Upload, User
from labeling.queries import api as queries
from labeling.services.intake import receiving

router = Router()
MOST_TEXT_ITEMS = 10_000  # of one request; send more in several
MOST_ITEMS_A_PAGE = 1_000


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
    name = ngettext("API, %s file", "API, %s files", len(files)) % len(files)
    upload = receiving.open_upload(dataset=dataset, name=name, options={}, size=size, by=by)
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
    if asked.label:
        one_of(asked.label, queries.class_names(dataset), words=f"{slug} has no class named")
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
