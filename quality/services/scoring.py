"""Runs and comparisons measured by what the task card calls success."""

from dataclasses import replace
from typing import Any

import numpy as np
from django.db import transaction

from labeling.models import Dataset
from labeling.queries.success import Choice, choice_of
from labeling.services.jobs import Refused, Work
from mlcore.success import COST
from quality import arrays
from quality.models import Comparison, Run
from quality.queries.judge import GONE, Judge
from quality.services import copies
from quality.services.figures import CENTROID, MAJORITY
from quality.services.material import Material, read_material

BASELINES = {MAJORITY: "majority", CENTROID: "centroid"}
"""Arrays of a run with what needs no training, by title."""


def score(work: Work) -> dict[str, Any]:
    """Measure all runs and comparisons of a dataset: the body of a `score` job."""
    dataset = work.job.dataset
    if dataset is None:
        raise Refused("This job names no dataset.")
    runs = Run.objects.filter(dataset=dataset, finished_at__isnull=False)
    done = list(runs.select_related("version").order_by("-number"))
    compared = list(Comparison.objects.filter(dataset=dataset).exclude(result={}).order_by("-pk"))
    while True:  # who chooses again meanwhile is served by the same job
        dataset.refresh_from_db(fields=["success"])
        choice = choice_of(dataset)
        for place, run in enumerate(done):
            work.progress(place, len(done) + len(compared), message="Measuring the runs")
            score_run(run, choice)
        for place, comparison in enumerate(compared, start=len(done)):
            work.progress(place, len(done) + len(compared), message="Measuring Before/After")
            score_comparison(comparison, choice)
        if Dataset.objects.get(pk=dataset.pk).success == dataset.success:
            return {"runs": len(done), "comparisons": len(compared)}


def success_of(run: Run, material: Material) -> dict[str, Any]:
    """Return what a run that is about to be kept achieved by what success means now."""
    choice = choice_of(Dataset.objects.get(pk=run.dataset_id))
    return _success(run, material, choice) if choice else {}


def _success(run: Run, material: Material, choice: Choice) -> dict[str, Any]:
    """Measure out of sample beside what needs no training, and test items that were opened."""
    place = {name: number for number, name in enumerate(run.classes)}
    labels = np.array([place.get(name or "", -1) for name in material.names])
    judge = Judge(choice, run.classes, labels, copies.groups_kept(run, material))
    own = arrays.run_array(run, "probabilities")
    found = {"by": choice.by, **judge.measured(own)}
    baselines = {} if own is None else _baselines(run, judge, own)
    found["baselines"] = [
        {"title": title, **judge.measured(values)} for title, values in baselines.items()
    ]
    leads = {"lead": CENTROID, "signal": MAJORITY}
    for name, title in leads.items():
        if title in baselines:
            found[name] = {"over": title, **judge.changed(baselines[title], own)}
            found[name]["found"] = is_better(found[name], choice)
    found["folds"] = _by_fold(run, judge, own)
    if order := judge.order(own):
        found["order"] = order
    if "test" in run.metrics:
        found["test"] = judge.measured(arrays.run_array(run, "test_probabilities"))
    return found


def _by_fold(run: Run, judge: Judge, own: np.ndarray | None) -> list[float | None]:
    """Return the metric of each fold, of one shuffle after another where folds were dealt anew."""
    said, folds = (arrays.run_array(run, name) for name in ("shuffled", "shuffled_folds"))
    if said is None or folds is None:
        return judge.by_fold(own, arrays.run_array(run, "folds"))
    shuffles = range(said.shape[1])
    return [value for one in shuffles for value in judge.by_fold(said[:, one], folds[:, one])]


def is_better(change: dict[str, Any], choice: Choice) -> bool:
    """Whether the limits of a change lie on the better side of zero."""
    end, sign = ("high", -1) if choice.metric == COST else ("low", 1)
    return bool(end in change and sign * change[end] > 0)


def _baselines(run: Run, judge: Judge, own: np.ndarray) -> dict[str, np.ndarray | None]:
    """Return what needs no training as probabilities; a run of before they were kept has none."""
    if not run.is_imported:
        kept = {title: arrays.run_array(run, name) for title, name in BASELINES.items()}
        return {title: _as_probabilities(told, own) for title, told in kept.items()}
    rows = judge.rows(own)
    commonest = np.bincount(judge.labels[rows], minlength=own.shape[1]).argmax()
    return {MAJORITY: _as_probabilities(np.full(len(own), commonest), own)}


def _as_probabilities(told: np.ndarray | None, own: np.ndarray) -> np.ndarray | None:
    """Return classes (-1: none) as probabilities, of the items that a run itself predicted."""
    if told is None:
        return None
    sure = told if told.ndim == 2 else np.eye(own.shape[1], dtype=np.float32)[told]
    is_none = np.isnan(own).any(axis=1) | (told < 0 if told.ndim == 1 else False)
    return np.where(is_none[:, None], np.nan, sure)


def score_run(run: Run, choice: Choice | None) -> None:
    """Keep the chosen metric of a finished run."""
    found = _success(run, read_material(run.version), choice) if choice else {}
    with transaction.atomic():
        kept = Run.objects.select_for_update().get(pk=run.pk)
        kept.metrics["success"] = run.metrics["success"] = found
        kept.save(update_fields=["metrics"])


def score_comparison(comparison: Comparison, choice: Choice | None = None) -> None:
    """Keep how the chosen metric changed between two runs, and by what kind of change."""
    comparison.refresh_from_db(fields=["result"])  # parts may have come meanwhile
    choice = choice or choice_of(Dataset.objects.get(pk=comparison.dataset_id))
    found = {"by": choice.by, **_changed(comparison, choice)} if choice else {}
    with transaction.atomic():
        kept = Comparison.objects.select_for_update().get(pk=comparison.pk)
        kept.result["success"] = comparison.result["success"] = found
        kept.save(update_fields=["result"])


def _changed(comparison: Comparison, choice: Choice) -> dict[str, Any]:
    """Return the change by the earlier labels; as parts without each kind, by the later labels."""
    kept = {
        name: arrays.comparison_array(comparison.pk, name)
        for name in ("before", "after", "before_given", "after_given")
    }
    given = kept["before_given"]
    if given is None:
        return GONE
    groups = copies.groups_kept(comparison.old, read_material(comparison.old.version))
    judge = Judge(choice, comparison.result["classes"], np.asarray(given), groups)
    parts = {
        row["kind"]: judge.changed(
            arrays.comparison_array(comparison.pk, f"without_{row['kind']}"), kept["after"]
        )
        for row in comparison.result.get("contributions", [])
        if "refused" not in row
    }
    if comparison.result.get("later_labels") and kept["after_given"] is not None:
        later = replace(judge, labels=np.asarray(kept["after_given"]))
        parts["later_labels"] = later.changed(kept["before"], kept["after"])
    return {**judge.changed(kept["before"], kept["after"]), "parts": parts}
