"""What a run and a Before/After say, as a report tells it in plain values."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from labeling.models import Dataset, Version
from labeling.queries.success import Choice, choice_of
from mlcore.intervals import Interval
from quality.models import Comparison, Run
from quality.queries.blind import BlindScore, blind_score
from quality.queries.comparisons import comparison_page
from quality.queries.runs import MOST_CONFUSED, Cell, Matrix, items_url, matrix_of
from quality.queries.success import Change, baselines_of, figure_of
from quality.queries.success import Figure as Success
from quality.queries.verdict import Verdict, verdict_of

MOST_CLASSES = 30  # of a matrix that still can be read, on paper too


@dataclass(frozen=True)
class Figure:
    """One figure with its limits; `title` says whose."""

    title: str
    value: Interval


@dataclass(frozen=True)
class Learned:
    """A run: what it is right on, what does so without learning, and what it confuses.

    `success` is the chosen metric of the same, the run first; empty where none was chosen.
    """

    run: int
    version: int
    n: int
    accuracy: Interval
    figures: list[Figure]
    success: list[Success]
    success_note: str
    backbone: str
    verdict: Verdict
    most_confused: list[Cell]
    matrix: Matrix | None
    url: str
    right_url: str


def newest_run(dataset: Dataset, version: Version | None, *, is_imported: bool) -> Run | None:
    """Return the last finished run of this version, or of the nearest one before."""
    done = dataset.runs.filter(finished_at__isnull=False, is_imported=is_imported)
    if version:
        done = done.filter(version__number__lte=version.number)
    return done.select_related("version").order_by("-version__number", "-number").first()


def learned_of(run: Run, present: Run | None) -> Learned:
    """Return a run beside what needs no learning, and beside the team's present system."""
    metrics = run.metrics
    figures = [Figure(_("Macro-F1"), _interval(metrics["macro_f1"]))]
    figures += [Figure(_(row["title"]), _interval(row)) for row in metrics["baselines"]]
    if present:
        title = _("Present system (run %(n)s, imported)") % {"n": present.number}
        figures.append(Figure(title, _interval(present.metrics["accuracy"])))
    choice = choice_of(run.dataset)
    blind = blind_score(run.dataset, choice)
    if blind:
        told = blind.accuracy
        title = _("People, blind (%(n)s items)") % {"n": blind.n}
        figures.append(Figure(title, Interval(told.value, told.low, told.high)))
    is_small = len(run.classes) <= MOST_CLASSES
    return Learned(
        run=run.number,
        version=run.version.number,
        n=metrics.get("asked", metrics["n"]),
        accuracy=_interval(metrics["accuracy"]),
        figures=figures,
        success=_success(run, present, choice, blind) if choice else [],
        success_note=choice.note if choice else "",
        backbone=metrics["backbone"]["title"],
        verdict=verdict_of(run),
        most_confused=_most_confused(run),
        matrix=matrix_of(run, metrics["confusion"], order=metrics["order"]) if is_small else None,
        url=reverse("quality:run", args=[run.dataset.slug, run.number]),
        right_url=f"{items_url(run)}&read=right",
    )


def _success(
    run: Run, present: Run | None, choice: Choice, blind: BlindScore | None
) -> list[Success]:
    own = figure_of(run, choice, title=_("%s, out of sample") % choice.title)
    title = _("Present system (run %(n)s, imported)") % {"n": present.number if present else 0}
    beside = figure_of(present, choice, title=title) if present else None
    people = blind.figure if blind else None
    found = [own, *baselines_of(run.metrics, choice), beside, people]
    return [figure for figure in found if figure]


def _interval(row: dict[str, Any]) -> Interval:
    return Interval(row["value"], row["low"], row["high"])


def _most_confused(run: Run) -> list[Cell]:
    """Return the largest cells off the diagonal; a matrix of many classes is not arranged."""
    cells = [
        (n, given, predicted)
        for given, row in enumerate(run.metrics["confusion"])
        for predicted, n in enumerate(row)
        if n and given != predicted
    ]
    found = []
    for n, given, predicted in sorted(cells, key=lambda cell: -cell[0])[:MOST_CONFUSED]:
        total = sum(run.metrics["confusion"][given])
        names = {"given": run.classes[given], "predicted": run.classes[predicted]}
        found.append(Cell(n, n / total, total=total, url=items_url(run, **names), **names))
    return found


@dataclass(frozen=True)
class Counted:
    """A number of items, with where they are."""

    words: str
    n: int
    url: str


@dataclass(frozen=True)
class Recall:
    """How a class's recall changed, over how many items."""

    name: str
    change: float
    n: int
    url: str


@dataclass(frozen=True)
class Bought:
    """What lies between two versions and what it bought, on the same items.

    `success` is the same in the chosen metric; None where there is none, or it is not measured.
    """

    old: int
    new: int
    n: int
    is_test: bool
    before: float
    after: float
    difference: Interval
    success: Change | None
    words: str
    seconds: float
    decisions: int
    answers: int
    by_class: list[Recall]
    items: list[Counted]
    changes: list[Counted]
    url: str


def newest_comparison(dataset: Dataset, version: Version | None) -> Comparison | None:
    """Return the last Before/After that ends in this version or in one before."""
    done = Comparison.objects.filter(dataset=dataset).exclude(result={})
    if version:
        done = done.filter(new__version__number__lte=version.number)
    found = done.select_related("old__version", "new__version")
    return found.order_by("-new__version__number", "-pk").first()


def bought_of(comparison: Comparison) -> Bought:
    """Return a Before/After in plain values, each count with its items."""
    page, result = comparison_page(comparison), comparison.result
    changes, slug = result["changes"], comparison.dataset.slug
    versions = {side: result[side]["version"] for side in ("old", "new")}
    between = f"{reverse('quality:version_difference', args=[slug])}?{urlencode(versions)}"
    named = (
        ("relabelled", _("Labels changed")),
        ("added", _("Items added")),
        ("left_out", _("Items left out")),
        ("moved", _("Items moved between splits")),
    )
    changed = (("newly_right", _("Newly right")), ("newly_wrong", _("Newly wrong")))
    return Bought(
        **versions,
        n=result["n"],
        is_test=result["on"] == "test",
        before=result["before"],
        after=result["after"],
        difference=Interval(result["difference"], result["low"], result["high"]),
        success=page["change"] if page["change"].is_chosen else None,
        words=page["words"],
        seconds=changes["seconds"],
        decisions=changes["decisions"],
        answers=changes["answers"],
        by_class=[
            Recall(row["name"], row["difference"], row["n"], row["url"]) for row in page["recalls"]
        ],
        items=[
            Counted(
                words,
                len(result[name]),
                reverse("quality:changed_items", args=[slug, comparison.pk, name]),
            )
            for name, words in changed
        ],
        changes=[
            Counted(words, changes[name], f"{between}&kind={name}")
            for name, words in named
            if name in changes
        ],
        url=f"{reverse('quality:before_after', args=[slug])}?{urlencode(versions)}",
    )
