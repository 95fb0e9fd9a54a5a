"""Reads about training runs: the list, one run with its matrix, the items behind a cell."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.urls import reverse
from django.utils.translation import gettext as _

from labeling.models import Dataset, Item, Job, JobState
from labeling.queries.datasets import listed
from labeling.queries.success import Choice
from quality.models import Run, TestOpening
from quality.queries.success import Figure, baselines_of, figure_of

MOST_CONFUSED = 6
ITEMS_BELOW_MATRIX = 14
MOST_ERROR_CHARACTERS = 600


@dataclass(frozen=True)
class Cell:
    """One cell of a confusion matrix; `share` is that of its row, `column_share` of its column."""

    count: int
    share: float
    given: str
    predicted: str
    total: int = 0
    url: str = ""
    column_share: float = 0.0


@dataclass(frozen=True)
class MatrixRow:
    """The items of one given class, by what they were taken for."""

    name: str
    cells: list[Cell]
    total: int
    recall: float | None
    url: str = ""


@dataclass(frozen=True)
class Matrix:
    """A confusion matrix in the order in which similar classes stand together."""

    heads: list[tuple[str, str]] = field(default_factory=list)
    rows: list[MatrixRow] = field(default_factory=list)
    precisions: list[float | None] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(row.total for row in self.rows)

    @property
    def right(self) -> int:
        return sum(
            cell.count for row in self.rows for cell in row.cells if cell.given == cell.predicted
        )

    def most_confused(self) -> list[Cell]:
        """Cells off the diagonal, largest first."""
        wrong = [cell for row in self.rows for cell in row.cells if cell.given != cell.predicted]
        return sorted((c for c in wrong if c.count), key=lambda c: (-c.count, -c.share))[
            :MOST_CONFUSED
        ]


def runs_of(dataset: Dataset) -> QuerySet[Run]:
    """All runs, newest first, with what a list shows of them."""
    runs = Run.objects.filter(dataset=dataset).select_related("version", "job__by")
    return runs.annotate(openings=Count("test_openings")).order_by("-number")


def newest_done(dataset: Dataset) -> Run | None:
    """The last finished training of the newest version that has one.

    Before/After may train an older version later: queues and report don't go back to it.
    """
    done = dataset.runs.filter(finished_at__isnull=False, is_imported=False)
    return done.select_related("version").order_by("-version__number", "-number").first()


def newest_imported(dataset: Dataset) -> Run | None:
    """What the team's present system predicts, as it was imported last."""
    done = dataset.runs.filter(finished_at__isnull=False, is_imported=True)
    return done.select_related("version").order_by("-number").first()


def run_numbered(dataset: Dataset, number: int) -> Run | None:
    """One run with what its page shows."""
    found = Run.objects.filter(dataset=dataset, number=number)
    run = found.select_related("version", "job__by").first()
    if run:
        run.dataset = dataset  # keeps the viewer's role that access has set
    return run


@dataclass(frozen=True)
class State:
    """How far a run is, in words."""

    words: str
    tone: str = ""
    notice: str = ""


@dataclass(frozen=True)
class ListedRun:
    """A row of the list of runs; `success` is the chosen metric, if one was chosen.

    `majority` is what always saying the commonest class has, in the metric that the list shows.
    """

    run: Run
    state: State
    success: Figure | None = None
    majority: Figure | None = None


def state_of(run: Run) -> State:
    """Say how far a run is; a job that trains two runs speaks only for the one it is at."""
    if run.finished_at:
        return State(_("Done"), "good")
    job = run.job
    detail = live_detail(run)
    if job and job.is_open and detail:
        if detail.get("last", 0) > detail.get("fold", 0):
            words = _("Training folds %(fold)s to %(last)s of %(folds)s") % detail
        elif detail.get("fold"):
            words = _("Training fold %(fold)s of %(folds)s") % detail
        else:
            words = job.message or _("Waiting")
        return State(words, "info")
    if job and job.state == JobState.CANCELLED:
        return State(
            _("Cancelled"), "warn", _("Cancelled before it was done; training again starts anew.")
        )
    if job and job.state == JobState.FAILED:
        return State(_("Failed"), "bad", job.error[:MOST_ERROR_CHARACTERS])
    return State(_("Not finished"), "warn")


def with_state(run: Run, choice: Choice | None = None) -> ListedRun:
    """A run as a row of the list."""
    majority = next(iter(baselines_of(run.metrics, choice)), None) if run.metrics else None
    return ListedRun(run, state_of(run), figure_of(run, choice), majority)


def live_detail(run: Run) -> dict[str, Any]:
    """What the worker last said about this run."""
    detail = run.job.detail if run.job else {}
    return detail if detail.get("run") == run.number else {}


def openings_of(dataset: Dataset) -> int:
    """How often the sealed test items were looked at."""
    return TestOpening.objects.filter(dataset=dataset).count()


def open_job(dataset: Dataset, *kinds: str) -> Job | None:
    """The waiting or running job of one of the kinds."""
    states = (JobState.QUEUED, JobState.RUNNING)
    return Job.objects.filter(dataset=dataset, kind__in=kinds, state__in=states).first()


def last_ended_job(dataset: Dataset, kind: str) -> Job | None:
    """The newest job of a kind that is over."""
    ended = (JobState.DONE, JobState.FAILED, JobState.CANCELLED)
    return Job.objects.filter(dataset=dataset, kind=kind, state__in=ended).order_by("-pk").first()


def items_by_key(dataset: Dataset, keys: list[str]) -> list[Item]:
    """The items with these keys, in their order, with what a thumbnail needs."""
    found = Item.objects.filter(dataset=dataset, key__in=keys).select_related("content", "label")
    by_key = {item.key: item for item in found}
    return [by_key[key] for key in keys if key in by_key]


def items_in_order(ids: list[int]) -> list[Item]:
    """The items with these ids, in their order, with what a thumbnail needs."""
    found = Item.objects.select_related("content", "label").in_bulk(ids)
    return [found[pk] for pk in ids if pk in found]


def matrix_of(run: Run, counts: list[list[int]], *, order: list[int] | None = None) -> Matrix:
    """Arrange counts (given in rows, predicted in columns) with links to their items."""
    # Once for all cells: to put it together for each costs more than the rest of them.
    whole = f"{_browse(run)}?run={run.number}"
    given_as, predicted_as = (
        {"": "", **{name: f"&{urlencode({side: name})}" for name in run.classes}}
        for side in ("given", "predicted")
    )

    def link(given: str, predicted: str) -> str:
        return f"{whole}{given_as[given]}{predicted_as[predicted]}"

    return arrange(run.classes, counts, order=order, link=link)


def arrange(
    classes: list[str], counts: list[list[int]], *, order: list[int] | None = None, link: Any = None
) -> Matrix:
    """Arrange a table of counts as a matrix; `link(given, predicted)` leads to the items."""
    places = order if order and len(order) == len(classes) else list(range(len(classes)))
    link = link or (lambda given, predicted: "")
    said = [sum(column) for column in zip(*counts, strict=True)]
    rows = []
    for given in places:
        total = sum(counts[given])
        cells = [
            Cell(
                count=counts[given][predicted],
                share=counts[given][predicted] / total if total else 0.0,
                given=classes[given],
                predicted=classes[predicted],
                total=total,
                url=link(classes[given], classes[predicted]),
                column_share=counts[given][predicted] / said[predicted] if said[predicted] else 0.0,
            )
            for predicted in places
        ]
        rows.append(
            MatrixRow(
                name=classes[given],
                cells=cells,
                total=total,
                recall=counts[given][given] / total if total else None,
                url=link(classes[given], ""),
            )
        )
    return Matrix(
        heads=[(classes[p], link("", classes[p])) for p in places],
        rows=rows,
        precisions=[counts[p][p] / said[p] if said[p] else None for p in places],
    )


def items_url(run: Run, *, given: str = "", predicted: str = "") -> str:
    """Address of the items that a cell, a row head or a column head counts."""
    return f"{_browse(run)}?{_query(run, given, predicted)}"


def _browse(run: Run) -> str:
    return reverse("quality:browse", args=[run.dataset.slug])


def _query(run: Run, given: str, predicted: str) -> str:
    wanted = {"run": run.number, "given": given, "predicted": predicted}
    return urlencode({name: value for name, value in wanted.items() if value})


def datasets_to_check() -> list[Dataset]:
    """Datasets whose newest run was trained by a worker, and no checks began since.

    Who trains by command runs the checks by command as well.
    """
    trained = Run.objects.filter(dataset=OuterRef("pk"), job__kind="train")
    newest = trained.filter(finished_at__isnull=False).order_by("-number")
    later = Q(created_at__gt=OuterRef("trained_at")) | Q(started_at__gt=OuterRef("trained_at"))
    checks = Job.objects.filter(later, dataset=OuterRef("pk"), kind="detect")
    datasets = listed(Dataset.objects.all()).annotate(
        trained_at=Subquery(newest.values("finished_at")[:1]),
        task_id=Subquery(newest.values("job__task_id")[:1]),
    )
    return list(datasets.filter(task_id__gt="").exclude(Exists(checks)))
