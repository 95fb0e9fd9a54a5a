"""The JSON API of quality: runs, flags, decisions, exports."""

from datetime import datetime
from typing import Any, Literal

from django.http import Http404, HttpRequest
from ninja import Field, Query, Router, Schema, Status
from ninja.errors import HttpError

from labeling import access, tasks
from labeling.api.callers import Refusal, one_of, speaker
from labeling.api.jobs import JobOut, job_out
from labeling.forms.ids import MOST_ID
from labeling.models import Dataset, LabelClass
from labeling.services import jobs
from labeling.views.downloads import file_response
from quality.detectors import KINDS
from quality.models import Decision, Flag, Proposal, Run
from quality.queries import api as queries
from quality.queries import exports
from quality.queries.protocols import asked_by_name
from quality.queries.runs import runs_of
from quality.services import decisions, runs, second

router = Router()
MOST_FLAGS_A_PAGE = 500
MOST_RUNS_A_PAGE = 100


# ---- runs ----


class RunOptions(Schema):
    """As `train` names them; what is left out stays as in the training before."""

    open_test: bool = Field(False, description="also predict the sealed test items; it is counted")
    reason: str = Field(
        "", max_length=200, description="why the test items are opened; needed for it"
    )
    judged_by: Literal["auto", "folds", "hold-out", "time"] | None = Field(
        None, description="how predictions are made out of sample; time needs items with dates"
    )
    augment: str | None = Field(
        None,
        max_length=100,
        description="changes of which each learned item has a copy, joined by +, or off; images: "
        "flip, crop, shift, brightness; sounds: pitch, time, noise",
    )
    search: int | Literal["off"] | None = Field(
        None, description="seconds in which other heads are tried first: 60, 120, 300, or off"
    )
    tune: int | Literal["off"] | None = Field(
        None,
        description="seconds in which fine-tuning the top layers of the picture network is tried, "
        "kept unless clearly worse: 120, 300, 600, or off",
    )


class RunOut(Schema):
    """A run by its accuracy; null while it trains, and where it failed."""

    run: int
    version: int
    judged_by: str | None
    backbone: str
    is_imported: bool
    accuracy: float | None
    low: float | None
    high: float | None
    n: int | None
    test_openings: int
    finished_at: datetime | None


class RunPage(Schema):
    runs: list[RunOut]
    next: int | None = Field(description="send it as `before` to go on; null at the end")


class RunFilter(Schema):
    before: int = Field(MOST_ID, ge=1, le=MOST_ID, description="the `next` of the page before")
    limit: int = Field(50, ge=1, le=MOST_RUNS_A_PAGE)


@router.get("/datasets/{slug}/runs", response=RunPage, summary="List runs")
def list_runs(request: HttpRequest, slug: str, asked: Query[RunFilter]) -> dict[str, Any]:
    """Runs, newest first, page by page."""
    dataset = access.dataset_for(speaker(request), slug)
    rows: list[Any] = list(runs_of(dataset).filter(number__lt=asked.before)[: asked.limit + 1])
    return {
        "runs": [_run(row, row.openings) for row in rows[: asked.limit]],
        "next": rows[asked.limit - 1].number if len(rows) > asked.limit else None,
    }


def _run(row: Run, openings: int) -> dict[str, Any]:
    scored = row.metrics.get("accuracy") or {}
    return {
        "run": row.number,
        "version": row.version.number,
        "judged_by": row.protocol.get("scheme"),
        "n": row.metrics.get("asked", row.metrics.get("n")),
        "accuracy": scored.get("value"),
        "low": scored.get("low"),
        "high": scored.get("high"),
        "test_openings": openings,
        **{name: getattr(row, name) for name in ("backbone", "is_imported", "finished_at")},
    }


@router.post(
    "/datasets/{slug}/runs",
    response={202: JobOut, 409: Refusal, 422: Refusal},
    summary="Train",
)
def train(request: HttpRequest, slug: str, options: RunOptions | None = None) -> Any:
    """Freeze a version and train on it; the checks follow by themselves.

    422 for test items opened without a reason, and for what this dataset does not offer: a change
    of another kind of item, a scheme by time without dates, a search or a trial of another length.
    409 while a training is on its way, and where no item outside test has a label yet.
    """
    dataset = access.dataset_for(speaker(request), slug, roles=access.LEADS)
    sent = options.dict() if options else {}
    if sent.get("open_test") and not sent["reason"].strip():
        return Status(422, {"detail": "Say why the test items are opened, as `reason`."})
    named = {name: sent.pop(name, None) for name in ("judged_by", "augment", "search", "tune")}
    try:
        asked = asked_by_name(dataset, **named)
    except ValueError as unknown:
        return Status(422, {"detail": str(unknown)})
    try:
        job = runs.open_training(dataset=dataset, options={**sent, **asked}, by=speaker(request))
    except jobs.JobOpenError as there:
        return Status(409, {"detail": f"A training is on its way already: job {there.job.pk}."})
    tasks.send(job)
    return Status(202, job_out(job))


# ---- flags and decisions ----


class FlagItemOut(Schema):
    id: int
    key: str
    role: str
    split: str
    label: str | None


class FlagOut(Schema):
    id: int
    kind: str
    state: str
    score: float
    is_likely: bool
    given: str
    suggested: str
    reason: str
    items: list[FlagItemOut]
    created_at: datetime


class FlagPage(Schema):
    flags: list[FlagOut]
    next: int | None = Field(description="send it as `after` to go on; null at the end")


class FlagFilter(Schema):
    after: int = Field(0, description="the `next` of the page before")
    limit: int = Field(100, ge=1, le=MOST_FLAGS_A_PAGE)
    kind: str | None = None
    state: Literal["open", "decided", "dismissed", "waiting", "gone"] | None = None


@router.get("/datasets/{slug}/flags", response=FlagPage, summary="List flags")
def list_flags(request: HttpRequest, slug: str, asked: Query[FlagFilter]) -> dict[str, Any]:
    """Flags in the order in which they were raised, page by page."""
    dataset = access.dataset_for(speaker(request), slug)
    if asked.kind is not None:
        one_of(asked.kind, list(KINDS), words="There is no kind of flag named")
    rows = queries.flags_after(
        dataset, after=asked.after, limit=asked.limit, kind=asked.kind, state=asked.state
    )
    return {
        "flags": [_flag(row) for row in rows[: asked.limit]],
        "next": rows[asked.limit - 1].pk if len(rows) > asked.limit else None,
    }


def _flag(row: Flag) -> dict[str, Any]:
    named = ("kind", "state", "score", "is_likely", "given", "suggested", "reason", "created_at")
    items = [
        {
            "id": part.item_id,
            "key": part.item.key,
            "role": part.role,
            "split": part.item.split,
            "label": part.item.label.name if part.item.label else None,
        }
        for part in row.flag_items.all()
    ]
    return {"id": row.pk, "items": items, **{name: getattr(row, name) for name in named}}


class NewDecision(Schema):
    action: Literal["keep", "relabel", "exclude", "merge", "move", "round"]
    label: str | None = Field(None, description="class name, for relabel; else the suggested one")
    keep: int | None = Field(None, description="id of the item that stays, for merge")
    split: Literal["", "train", "validation", "test", "none"] = Field("", description="for move")
    reason: str = Field("", max_length=200, description="for exclude")
    seconds: float = Field(0.0, ge=0, description="that a person looked at it")
    test_confirmed: bool = Field(False, description="needed when a test item would change")


class ItemState(Schema):
    key: str
    label: str | None
    split: str
    excluded: str


class DecisionOut(Schema):
    id: int
    flag: int
    action: str
    touches_test: bool
    before: list[ItemState]
    after: list[ItemState]


class ProposalOut(Schema):
    proposal: int
    flag: int
    action: str
    detail: str


@router.post(
    "/flags/{pk}/decision",
    response={201: DecisionOut, 202: ProposalOut, 409: Refusal},
    summary="Decide a flag",
)
def decide(request: HttpRequest, pk: int, given: NewDecision) -> Any:
    """Close an open flag and carry the decision out. A flag is decided once: 409 afterwards.

    202 where it changes test items and the dataset asks a second reviewer: nothing changes
    until one agrees.
    """
    flag = _flag_for(request, pk)
    asked = given.dict() | {"label": _label(flag.dataset, given.label)}
    leads = flag.dataset.viewer_role in access.LEADS
    try:
        made = second.decide(flag=flag, reviewer=speaker(request), leads=leads, **asked)
    except (
        decisions.FlagClosedError,
        decisions.TouchesTestError,
        decisions.DecisionRefusedError,
    ) as refusal:
        return Status(409, {"detail": str(refusal)})
    if isinstance(made, Proposal):
        waits = {"proposal": made.pk, "flag": flag.pk, "action": made.action}
        return Status(202, waits | {"detail": "It waits for a second reviewer."})
    return Status(201, _decision(made))


def _flag_for(request: HttpRequest, pk: int) -> Flag:
    flag = Flag.objects.filter(pk=pk).select_related("dataset").first()
    if flag is None or access.admit(speaker(request), flag.dataset) not in access.REVIEWERS:
        raise Http404("no such flag")
    return flag


def _label(dataset: Dataset, name: str | None) -> LabelClass | None:
    if name is None:
        return None
    found = dataset.classes.filter(name=name).first()
    if found is None:
        raise HttpError(422, f"{dataset.slug} has no class named {name!r}.")
    return found


def _decision(made: Decision) -> dict[str, Any]:
    return {
        "id": made.pk,
        "flag": made.flag_id,
        "action": made.action,
        "touches_test": made.touches_test,
        "before": made.before,
        "after": made.after,
    }


# ---- export ----


class ExportAsked(Schema):
    what: Literal["items", "labels", "annotations", "flags", "decisions", "versions"] = "items"
    format: Literal["csv", "jsonl", "folders"] = "csv"
    version: int | None = Field(None, description="else the newest")


@router.get("/datasets/{slug}/export", summary="Download", response={200: None, 409: Refusal})
def export(request: HttpRequest, slug: str, asked: Query[ExportAsked]) -> Any:
    """A file that streams: CSV, JSON lines, or a zip of class folders (items only)."""
    dataset = access.dataset_for(speaker(request), slug)
    try:
        made = exports.export(dataset, asked.what, form=asked.format, number=asked.version)
    except exports.CannotExportError as refusal:
        return Status(409, {"detail": str(refusal)})
    return file_response(made.content, name=made.name, content_type=made.content_type)
