"""The API of background work."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from ninja import Router, Schema

from labeling import access
from labeling.api.callers import speaker
from labeling.models import Job

router = Router()


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
