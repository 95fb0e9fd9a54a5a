"""Training runs: out-of-sample predictions for what people labelled, under a stated protocol."""

import time
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from labeling.models import Dataset, Job, Media, User, Version
from labeling.queries.success import choice_of
from labeling.services.jobs import Refused, Work, open_job
from labeling.services.versions import NothingToFreezeError, freeze_version
from quality import arrays
from quality.models import Run, TestOpening
from quality.queries.judge import epoch_judge
from quality.queries.protocols import (
    augmentation_of,
    scheme_asked,
    scheme_of,
    search_of,
    tuning_of,
)
from quality.queries.runs import newest_done
from quality.queries.success import as_plain
from quality.services import augmentation, copies, figures, scoring, search
from quality.services.features import backbones_of, can_tune, choose_backbone, features_of
from quality.services.heads import maps_for, predict_rows
from quality.services.learning import refresh_suggestions
from quality.services.live import LiveTraining
from quality.services.material import (
    Material,
    check_labels,
    check_material,
    read_material,
    stopped_in_words,
)

if TYPE_CHECKING:
    from mlcore.features import Backbone
    from mlcore.protocols import Protocol
    from mlcore.training import CrossValidation

OPENING = "open_test"


@transaction.atomic
def open_training(*, dataset: Dataset, options: dict[str, Any], by: User) -> Job:
    """Open a `train` job, unless it is known before any work that nothing can be learned."""
    job = open_job(kind="train", dataset=dataset, options=options, by=by, queue="train")
    check_labels(dataset)
    return job


def train(work: Work) -> dict[str, Any]:
    """Train the dataset as it is now: the body of a `train` job."""
    work.progress(message="Freezing the version", now=True)
    try:
        version, _ = freeze_version(dataset=dataset_of(work), by=work.job.by)
    except NothingToFreezeError as empty:
        raise Refused(str(empty)) from None
    run, is_new = run_version(work, version, reuses_older=False)
    if work.options.get("open_test"):
        open_test(work, run)
    refresh_suggestions(work, run)
    return {**summary(run), "unchanged": not is_new}


def run_version(
    work: Work, version: Version, *, like: Run | None = None, reuses_older: bool = True
) -> tuple[Run, bool]:
    """Return the run of a version and whether it is new; the same training is not done twice.

    `like` asks for the protocol and vectors of another run, so that the two compare. Without
    `reuses_older` only the newest run is reused: queues, report and model go by the newest.
    """
    from mlcore.protocols import Protocol, suited

    material = read_material(version)
    check_material(material)
    scheme = scheme_asked(like) if like else scheme_of(version.dataset, work.options)
    n_items = int(material.is_learned.sum())
    asked = Protocol(
        augmentation=augmentation_of(version.dataset, work.options),
        search=search_of(version.dataset, work.options),
        tuning=tuning_of(version.dataset, work.options) if can_tune(material) else 0,
    )
    wanted = Protocol(**like.protocol) if like else suited(asked, n_items=n_items, scheme=scheme)
    # Another run's head is taken as it is.
    searches = like is None and (wanted.search > 0 or wanted.tuning > 0)
    there = _finished(material, wanted=wanted, searches=searches)
    if there and (reuses_older or there == newest_done(version.dataset)):
        return there, False
    work.progress(message="Choosing what turns items into vectors", now=True)
    backbone, trial = choose_backbone(work, material, named=wanted.backbone)
    protocol = replace(wanted, backbone=backbone.name)
    described = {"backbone": figures.described(backbone, trial), "scheme_asked": scheme}
    run = _train(
        work,
        material,
        protocol=protocol,
        backbone=backbone,
        described=described,
        searches=searches,
    )
    return run, True


def summary(run: Run) -> dict[str, Any]:
    """Return what `train --json` prints of a run."""
    metrics = run.metrics
    found = {
        "run": run.number,
        "version": run.version.number,
        "accuracy": metrics["accuracy"]["value"],
        "low": metrics["accuracy"]["low"],
        "high": metrics["accuracy"]["high"],
        "macro_f1": metrics["macro_f1"]["value"],
        "baseline": metrics["baselines"][0]["value"],
        "signal": run.has_signal,
        "backbone": run.backbone,
        "seconds": metrics["seconds"],
        "n": metrics["n"],
        "asked": metrics.get("asked", metrics["n"]),
    }
    choice = choice_of(Dataset.objects.get(pk=run.dataset_id))
    if chosen := as_plain(metrics.get("success"), choice):
        found["success"] = chosen
    if "test" in metrics:
        test = metrics["test"]
        found |= {
            "test_accuracy": test["value"],
            "test_n": test["n"],
            "test_openings": TestOpening.objects.filter(dataset=run.dataset).count(),
        }
    return found


def open_test_of(work: Work) -> dict[str, Any]:
    """Open the test items for the run that was chosen: the body of an `open_test` job."""
    runs = dataset_of(work).runs.filter(finished_at__isnull=False, is_imported=False)
    run = runs.select_related("version").filter(number=work.options["run"]).first()
    if run is None:
        raise Refused("The run is gone.")
    open_test(work, run)
    return summary(run)


def open_test(work: Work, run: Run) -> None:
    """Predict the sealed test items of a run by a head that learned everything else."""
    if run.metrics.get("test_opened_by") == work.job.pk:  # an attempt that was lost did it
        return
    material = read_material(run.version)
    judged = np.flatnonzero(material.is_judged)
    if not len(judged):
        raise Refused("There are no labelled test items to open.")
    work.progress(message="Predicting the test items", now=True)
    probabilities = predict_rows(work, run, learned=material, of=material, rows=material.is_judged)
    arrays.save_run(run, {"test_probabilities": probabilities})
    guesses = arrays.predicted_classes(probabilities)[judged]
    # -1 on both sides is an item that cannot be read, of a class that was never learned.
    correct = (guesses == material.labels[judged]) & (guesses >= 0)
    groups = copies.groups_kept(run, material)
    run.metrics["test"] = figures.accuracy(correct, groups[judged])
    run.metrics["test_opened_by"] = work.job.pk
    run.metrics["success"] = scoring.success_of(run, material)
    with transaction.atomic():
        work.hold()
        Run.objects.filter(pk=run.pk).update(metrics=run.metrics)
        count_opening(run, by=work.job.by, reason=work.options["reason"])


def count_opening(run: Run, *, by: User | None, reason: str) -> TestOpening:
    """Record one look at the test items."""
    return TestOpening.objects.create(dataset=run.dataset, run=run, by=by, reason=reason[:200])


def dataset_of(work: Work) -> Dataset:
    """Return the dataset that a job is about."""
    if work.job.dataset is None:
        raise Refused("This job names no dataset.")
    return work.job.dataset


def _finished(material: Material, *, wanted: "Protocol", searches: bool) -> Run | None:
    """Return the finished run of the same version that a training now would only repeat."""
    names = [wanted.backbone] if wanted.backbone else [one.name for one in backbones_of(material)]
    done = Run.objects.filter(
        version=material.version, finished_at__isnull=False, is_imported=False
    )
    return next(
        (
            run
            for run in done.select_related("dataset", "version").order_by("-number")
            if run.backbone in names
            and search.asked_of(run, searches) == replace(wanted, backbone=run.backbone)
            and run.classes == material.classes
            and arrays.run_array(run, "probabilities") is not None
        ),
        None,
    )


def _train(
    work: Work,
    material: Material,
    *,
    protocol: "Protocol",
    backbone: "Backbone",
    described: dict[str, Any],
    searches: bool,
) -> Run:
    started = time.monotonic()
    run = _begin(work, material, protocol=protocol)
    choice = choice_of(Dataset.objects.get(pk=run.dataset_id))
    facts: dict[str, Any] = {
        "n": int(material.is_learned.sum()),
        "sealed": int(material.is_test.sum()),
        "left_out": int(material.is_left_out.sum()),
        "curves_by": choice.by if choice else {},
        **described,
    }
    fresh = {"fold": 0, "folds": 0, "fold_scores": [], "confusion": None, "curves": None}
    fresh |= {"success": None, "last": 0, "at_hand": [], "early": 0}
    work.progress(detail={"run": run.number, "predicted": 0, **fresh, **facts}, now=True)
    rows = _rows_to_learn(work, run, material, protocol=protocol, backbone=backbone)
    labels, groups, more = material.labels[rows.seen], rows.groups[rows.seen], rows.more
    learned = (rows.features, labels, groups)
    choosing = search.HeadSearch(work, run, **more)
    if searches:
        protocol, facts["search"] = choosing.head(learned, protocol)
        run.protocol = asdict(protocol)
    facts["fold_heads"] = choosing.of_folds(learned, protocol)
    n_classes = len(material.classes)
    found = _cross_validate(
        work,
        learned,
        protocol=protocol,
        n_classes=n_classes,
        changes=facts["fold_heads"],
        success_of=epoch_judge(choice, material.classes),
        **more,
    )
    baselines = figures.baselines_of(
        found, features=rows.features, labels=labels, n_classes=n_classes
    )
    whole = {"probabilities": found.probabilities, "uncalibrated": found.uncalibrated}
    whole |= {"folds": found.folds}
    if found.shuffled.size:
        whole |= {"shuffled": found.shuffled, "shuffled_folds": found.shuffled_folds}
    whole |= {name: baselines[title] for title, name in scoring.BASELINES.items()}
    arrays.save_run(run, _spread(whole, seen=rows.seen, n_lines=len(material.keys)))
    work.check()
    metrics = figures.metrics_of(
        found, baselines=baselines, labels=labels, groups=groups, n_classes=n_classes
    )
    facts |= {"unreadable": int(material.is_learned.sum()) - len(rows.seen), "seed": protocol.seed}
    facts |= {"n": len(rows.seen), "asked": int((found.folds >= 0).sum())}
    facts |= {"success": scoring.success_of(run, material)}
    if more["copies"] is not None and dataset_of(work).media == Media.IMAGE:
        facts["mirror"] = augmentation.try_mirror(
            work, material, backbone=backbone, rows=rows.seen, groups=rows.groups
        )
    return _end(work, run, {**metrics, **facts, "seconds": round(time.monotonic() - started, 1)})


@dataclass(frozen=True)
class Rows:
    """What a run learns from: the items whose vectors could be made, and the groups of all."""

    seen: np.ndarray
    features: np.ndarray
    groups: np.ndarray
    more: dict[str, Any]  # of those seen: changed copies, maps, times


def _rows_to_learn(
    work: Work, run: Run, material: Material, *, protocol: "Protocol", backbone: "Backbone"
) -> Rows:
    asked = material.is_learned
    features = features_of(work, material, backbone=backbone, rows=asked)
    made: dict[str, Any] = {"backbone": backbone, "protocol": protocol, "rows": asked}
    changed = augmentation.copies_of(work, material, vectors=features, **made)
    maps = maps_for(work, material, **made)
    work.progress(message="Looking for copies, which no two folds may share", now=True)
    found_copies = copies.sets_of(work, material, backbone=backbone)
    groups = copies.keep_groups(run, material, found_copies)
    is_readable = ~np.isnan(features).any(axis=1)
    seen = np.flatnonzero(asked)[is_readable]
    more = {
        "copies": None if changed is None else changed[is_readable],
        "maps": None if maps is None else maps[is_readable],
        "times": material.times[seen],
    }
    return Rows(seen, features[is_readable], groups, more)


@transaction.atomic
def _begin(work: Work, material: Material, *, protocol: "Protocol") -> Run:
    """Make the run's row, or take the one that an earlier attempt of this job made."""
    work.hold()
    dataset = dataset_of(work)
    fields = {
        "protocol": asdict(protocol),
        "backbone": protocol.backbone,
        "classes": material.classes,
    }
    begun = Run.objects.filter(job=work.job, version=material.version, finished_at=None).first()
    if begun:
        Run.objects.filter(pk=begun.pk).update(**fields)
        begun.refresh_from_db()
        return begun
    Dataset.objects.select_for_update().get(pk=dataset.pk)  # one number at a time
    number = (dataset.runs.aggregate(most=Max("number"))["most"] or 0) + 1
    return Run.objects.create(
        dataset=dataset, number=number, version=material.version, job=work.job, **fields
    )


@transaction.atomic
def _end(work: Work, run: Run, metrics: dict[str, Any]) -> Run:
    work.hold()
    run.metrics, run.finished_at = metrics, timezone.now()
    run.save(update_fields=["metrics", "finished_at", "protocol"])
    return run


def _cross_validate(
    work: Work,
    learned: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    n_classes: int,
    protocol: "Protocol",
    **more: Any,
) -> "CrossValidation":
    from mlcore.training import cross_validate
    from mlcore.tuning import EPOCHS

    live = LiveTraining(
        work,
        labels=learned[1],
        n_classes=n_classes,
        n_folds=protocol.n_heads,
        epochs=EPOCHS if protocol.tuned else protocol.epochs,
        success_of=more.get("success_of"),
    )
    work.progress(0, 0, message=_first_words(protocol, n_items=len(learned[1])), now=True)
    with stopped_in_words(work):
        return cross_validate(
            *learned,
            n_classes=n_classes,
            protocol=protocol,
            **more,
            on_early=live.on_early,
            on_epoch=live.on_epoch,
            on_fold=live.on_fold,
            should_stop=work.should_stop,
        )


def _first_words(protocol: "Protocol", *, n_items: int) -> str:
    from mlcore.tuning import seconds_to_tune

    if not protocol.tuned:
        return "Starting TensorFlow"
    cost = seconds_to_tune(n_items, protocol.n_heads)
    return f"Fine-tuning {protocol.n_heads} times, about {cost:,.0f} s on one core"


def _spread(
    found: dict[str, np.ndarray], *, seen: np.ndarray, n_lines: int
) -> dict[str, np.ndarray]:
    """Spread out-of-sample predictions over all lines of the manifest; NaN or -1 is none."""
    whole = {}
    for name, values in found.items():
        is_said = np.issubdtype(values.dtype, np.floating)
        kind = (np.nan, np.float32) if is_said else (-1, np.int64)
        whole[name] = np.full((n_lines, *values.shape[1:]), kind[0], dtype=kind[1])
        whole[name][seen] = values
    return whole
