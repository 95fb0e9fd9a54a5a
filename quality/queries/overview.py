"""What a dataset's front page shows: what is wrong, what was gained, what runs, what is next."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Exists, OuterRef
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from labeling.models import (
    Dataset,
    Item,
    Job,
    JobState,
    LabelClass,
    Media,
    Round,
    RoundItem,
    RoundItemState,
    Split,
    Upload,
    User,
    WriteArea,
)
from labeling.queries import job_outlook
from labeling.queries.kept import kept
from labeling.queries.rounds import rounds_so_far
from labeling.queries.success import choice_of
from labeling.queries.uploads import uploads_that_wait
from mlcore.intervals import Interval
from quality.models import Flag
from quality.queries.comparisons import comparison_of
from quality.queries.expected import expected_right
from quality.queries.flags import (
    Confirmed,
    Tally,
    confirmed_so_far,
    counts_by_kind,
    paces_of,
    reviewed,
    tally_of,
    worst_of,
)
from quality.queries.imbalance import imbalance_of
from quality.queries.report.evidence import items_of
from quality.queries.runs import newest_done
from quality.queries.second import waiting
from quality.queries.success import change_of, figure_of
from quality.queries.tiles import media_url
from quality.queries.verdict import verdict_of

EXAMPLES = 4
ROUNDS_SHOWN = 3
CLASSES_SHOWN = 14
LABELLED_ENOUGH = 0.9  # share of labelled items from which a model learns as well as from all


@dataclass(frozen=True)
class Queue:
    """The open flags of one kind, as a line of what is wrong."""

    kind: str
    title: str
    open: int
    expected: Interval
    touches_test: int
    seconds: float | None
    confirmed: Confirmed | None
    most_doubted: str
    examples: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Step:
    """One step around the loop: what it is for, whether it was done, where to do it."""

    title: str
    why: str
    url: str
    is_done: bool
    is_running: bool = False


#: The way around the loop: the page of each step, the job that does it, what it is for; why to
#: review depends on what was decided.
STEPS = (
    (
        "labeling", "import", "import", gettext_lazy("Import"),
        gettext_lazy("Photos, clips or texts, in class folders or with a table."),
    ),
    (
        "labeling", "rounds", "", gettext_lazy("Label"),
        gettext_lazy("Ask people in a round where labels are missing or not to be trusted."),
    ),
    (
        "quality", "runs", "train", gettext_lazy("Train"),
        gettext_lazy("A quick model predicts each item without having seen it."),
    ),
    (
        "quality", "checks", "detect", gettext_lazy("Check"),
        gettext_lazy("Wrong labels, copies, leaks, bad clips and odd files are looked for."),
    ),
    ("quality", "review", "", gettext_lazy("Review"), ""),
    (
        "quality", "before_after", "prove", gettext_lazy("Prove"),
        gettext_lazy("Same model, same test items, before and after: what did it buy?"),
    ),
)  # fmt: skip


def overview_of(
    dataset: Dataset, user: User, *, kinds: Mapping[str, str], may_lead: bool = False
) -> dict[str, Any]:
    """Return everything on the front page; the number of items costs no query."""
    spread, n_sources, n_excluded = spread_of(dataset)
    tally = tally_of(dataset)
    queues = _queues(dataset, user, kinds, tally)
    comparison = comparison_of(dataset)
    run, choice = newest_done(dataset), choice_of(dataset)
    jobs = _jobs(dataset)
    times = [queue.seconds * queue.open for queue in queues if queue.seconds]
    return {
        "counted": _counted(dataset, spread, n_sources),
        "n_excluded": n_excluded,
        "version": dataset.versions.first(),
        "queues": queues,
        "seconds": sum(times) if times else None,
        "comparison": comparison,
        "change": change_of(comparison.result, choice) if comparison else None,
        "run": run,
        "success": figure_of(run, choice) if run else None,
        "verdict": verdict_of(run) if run else None,
        "may_train": run is None and len({label for label, *_rest in spread if label}) > 1,
        "jobs": jobs,
        "rounds": _rounds(dataset),
        "waiting": _waiting(dataset, user, queues, uploads_that_wait(dataset) if may_lead else ()),
        "steps": _steps(
            dataset,
            spread,
            has_run=run is not None,
            proved_at=comparison.created_at if comparison else None,
            expected=sum(queue.expected.value for queue in queues),
            is_marked=any(flag.is_likely for flag in tally.open),
            running={row["job"].kind for row in jobs},
        ),
        **_class_bars(dataset, spread),
    }


Spread = list[tuple[int | None, str, int]]


def spread_of(dataset: Dataset) -> tuple[Spread, int, int]:
    """Return how items are spread; kept until labels change, or which items there are and where."""
    rests_on = [WriteArea.PLACES, WriteArea.LABELS]
    return kept(dataset, "spread", of=rests_on, make=lambda: counted_spread(dataset))


def counted_spread(dataset: Dataset) -> tuple[Spread, int, int]:
    """Count included items by label and split, sources, excluded items: an index each."""
    rows = Item.objects.filter(dataset=dataset, excluded="").order_by()
    spread = list(rows.values_list("label", "split").annotate(n=Count("pk")))
    named = Item.objects.filter(dataset=dataset).exclude(source_group="")
    n_sources = named.aggregate(n=Count("source_group", distinct=True))["n"]
    return spread, n_sources, Item.objects.filter(dataset=dataset, excluded__gt="").count()


def _counted(dataset: Dataset, spread: Spread, n_sources: int) -> str:
    labelled = sum(n for label, _split, n in spread if label is not None)
    others = sum(n for label, _split, n in spread if label is None)
    noun = {
        Media.IMAGE: ngettext("%(n)s labelled image", "%(n)s labelled images", labelled),
        Media.AUDIO: ngettext("%(n)s labelled clip", "%(n)s labelled clips", labelled),
        Media.TEXT: ngettext("%(n)s labelled text", "%(n)s labelled texts", labelled),
    }[Media(dataset.media)]
    parts = [noun % {"n": labelled}]
    if others:
        parts.append(_("%(n)s without a label") % {"n": others})
    if n_sources:
        parts.append(ngettext("%(n)s source", "%(n)s sources", n_sources) % {"n": n_sources})
    return ", ".join(parts)


def _queues(dataset: Dataset, user: User, kinds: Mapping[str, str], tally: Tally) -> list[Queue]:
    """Return kinds with open flags, most expected right first; no gain is claimed for them."""
    confirmed = confirmed_so_far(dataset)
    found = counts_by_kind(dataset, tally=tally)
    counts = {kind: n for kind, n in found.items() if n.open and kind in kinds}
    timed = [kind for kind, n in counts.items() if n.decided]
    paces = paces_of(reviewed(dataset).filter(by=user), timed)
    examples = _examples(dataset, counts, tally)
    expected = expected_right(dataset, counts, tally=tally)
    queues = [
        Queue(
            kind,
            kinds[kind],
            open=n.open,
            expected=expected[kind],
            touches_test=n.touches_test,
            seconds=paces.seconds(1, kind),
            confirmed=confirmed.get(kind),
            most_doubted=tally.most_doubted(kind),
            examples=examples[kind],
        )
        for kind, n in counts.items()
    ]
    return sorted(queues, key=lambda queue: (-queue.expected.value, -queue.open, queue.kind))


def _examples(
    dataset: Dataset, kinds: Iterable[str], tally: Tally
) -> dict[str, list[dict[str, str]]]:
    """Return items of the worst flags of each kind; their items cost one query in all."""
    worst = worst_of(dataset, kinds, tally=tally, count=EXAMPLES)
    items = items_of(flag for flags in worst.values() for flag in flags)
    found = {}
    for kind, flags in worst.items():
        shown = {item.pk: item for flag in flags for item in items[flag.pk]}
        found[kind] = [_example(dataset, item) for item in list(shown.values())[:EXAMPLES]]
    return found


def _example(dataset: Dataset, item: Item) -> dict[str, str]:
    return {
        "url": reverse("quality:item", args=[dataset.slug, item.pk]),
        "thumb_url": media_url(dataset, item, "preview"),
        "key": item.key,
        "text": item.content.text[:60],
    }


def _jobs(dataset: Dataset) -> list[dict[str, Any]]:
    states = (JobState.QUEUED, JobState.RUNNING)
    open_jobs = Job.objects.filter(dataset=dataset, state__in=states).order_by("pk")
    return [{"job": job, **job_outlook(job)} for job in open_jobs]


def _rounds(dataset: Dataset) -> list[Round]:
    """Return the newest open rounds; one whose items were all taken back asks nothing."""
    asked = RoundItem.objects.filter(round=OuterRef("pk"))  # a join would count for each item
    return list(rounds_so_far(dataset).filter(Exists(asked), closed_at=None)[:ROUNDS_SHOWN])


def _waiting(
    dataset: Dataset, user: User, queues: Iterable[Queue], uploads: Iterable[Upload]
) -> list[dict[str, Any]]:
    """What only a person can settle: disputes, what colleagues decided or flagged, imports."""
    disputed = RoundItem.objects.filter(
        round__dataset=dataset,
        round__counts=True,
        state=RoundItemState.DISPUTED,
        item__excluded="",
    ).aggregate(n=Count("item", distinct=True))["n"]
    browse = reverse("quality:browse", args=[dataset.slug])
    told = [(disputed, ngettext("dispute", "disputes", disputed), f"{browse}?disputed=1")]
    seconds = waiting(dataset).exclude(by=user).count()
    words = ngettext("decision for a second reviewer", "decisions for a second reviewer", seconds)
    told.append((seconds, words, reverse("quality:second", args=[dataset.slug])))
    for queue in queues:
        if queue.kind == "manual":
            words = ngettext("item flagged by people", "items flagged by people", queue.open)
            told.append(
                (queue.open, words, reverse("quality:queue", args=[dataset.slug, "manual"]))
            )
    told += [_import_that_waits(dataset, upload) for upload in uploads]
    return [{"n": n, "words": words, "url": url} for n, words, url in told if n]


def _import_that_waits(dataset: Dataset, upload: Any) -> tuple[int, str, str]:
    url = reverse("labeling:upload", args=[dataset.slug, upload.pk])
    if not upload.n:
        return 1, _("import that asks which columns are meant"), url
    words = ngettext("change of an import to confirm", "changes of an import to confirm", upload.n)
    return upload.n, words, url


def _class_bars(dataset: Dataset, spread: Spread) -> dict[str, Any]:
    """Items of each class outside test and in it, largest first."""
    known = list(LabelClass.objects.filter(dataset=dataset).values_list("pk", "name", "retired_at"))
    names = {pk: name for pk, name, _retired in known}
    in_use = {pk: name for pk, name, retired in known if retired is None}
    browse = reverse("quality:browse", args=[dataset.slug])
    rows: dict[int, dict[str, Any]] = {}
    for label, split, n in spread:
        if label is not None:
            row = rows.setdefault(label, {"label": names[label], "value": 0, "second": 0})
            row["second" if split == Split.TEST else "value"] += n
    for row in rows.values():
        row |= {"text": row["value"], "second_text": row["second"]}
        row["url"] = f"{browse}?{urlencode({'class': row['label']})}"
    shown = sorted(rows.values(), key=lambda row: -(row["value"] + row["second"]))
    most = max((row["value"] + row["second"] for row in shown), default=1)
    return {
        "bars": shown[:CLASSES_SHOWN],
        "imbalance": imbalance_of(spread, in_use),
        "more_classes": max(0, len(shown) - CLASSES_SHOWN),
        "most": most,
    }


def _steps(
    dataset: Dataset,
    spread: Spread,
    *,
    has_run: bool,
    proved_at: datetime | None,
    expected: float,
    is_marked: bool,
    running: set[str],
) -> list[Step]:
    """The way around the loop, with what was done already and what runs just now.

    Review is done when no doubt waits that its check expects right (`is_marked`), or somebody
    found it enough and proved what the decisions bought.
    """
    has_checks = (
        Job.objects.filter(dataset=dataset, kind="detect", state=JobState.DONE).exists()
        or Flag.objects.filter(dataset=dataset).exclude(kind="manual").exists()
    )
    decisions = reviewed(dataset).filter(undone_by=None)
    decided = decisions.count()
    is_proved = bool(proved_at) and decisions.filter(at__lt=proved_at).exists()
    n = sum(count for *_rest, count in spread)
    labelled = sum(count for label, _split, count in spread if label is not None)
    rounds = Round.objects.filter(dataset=dataset).exists()
    is_done = {
        "import": n > 0,
        "rounds": labelled > 0 and (labelled >= LABELLED_ENOUGH * n or rounds or has_run),
        "runs": has_run,
        "checks": has_checks,
        "review": decided > 0 and (not is_marked or is_proved),
        "before_after": proved_at is not None,
    }
    return [
        Step(
            str(title),
            str(why or _review_words(decided, expected if is_marked else 0.0)),
            reverse(f"{app}:{page}", args=[dataset.slug]),
            is_done[page],
            job in running,
        )
        for app, page, job, title, why in STEPS
    ]


def _review_words(decided: int, expected: float) -> str:
    if not decided:
        return _("You decide, worst first, one key each.")
    if not expected:
        return _("%(n)s decided; nothing waits that is more likely right than not.") % {
            "n": decided
        }
    words = _("%(n)s decided; %(left)s of those that wait are expected right.")
    return words % {"n": decided, "left": round(expected)}
