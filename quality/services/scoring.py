"""Runs and comparisons measured by what the task card calls success."""

from typing import Any

import numpy as np
from django.db import transaction

from labeling.models import Dataset
from labeling.queries.success import EVERY_OTHER, Choice, choice_of
from labeling.services.jobs import Refused, Work
from mlcore.success import Success, difference, measure
from quality import arrays
from quality.models import Comparison, Run
from quality.services import copies
from quality.services.material import Material, read_material


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
    """Measure out of sample, and on the test items where they were opened."""
    groups = copies.groups_kept(run, material)
    found = {"by": choice.by, **_measured(run, material, "probabilities", choice, groups)}
    if "test" in run.metrics:
        found["test"] = _measured(run, material, "test_probabilities", choice, groups)
    return found


def score_run(run: Run, choice: Choice | None) -> None:
    """Keep the chosen metric of a finished run."""
    found = _success(run, read_material(run.version), choice) if choice else {}
    with transaction.atomic():
        kept = Run.objects.select_for_update().get(pk=run.pk)
        kept.metrics["success"] = run.metrics["success"] = found
        kept.save(update_fields=["metrics"])


def score_comparison(comparison: Comparison, choice: Choice | None = None) -> None:
    """Keep how the chosen metric changed between two runs."""
    choice = choice or choice_of(Dataset.objects.get(pk=comparison.dataset_id))
    found = {"by": choice.by, **_changed(comparison, choice)} if choice else {}
    with transaction.atomic():
        kept = Comparison.objects.select_for_update().get(pk=comparison.pk)
        kept.result["success"] = comparison.result["success"] = found
        kept.save(update_fields=["result"])


def success_for(choice: Choice, classes: list[str]) -> Success:
    """Return the choice in the numbers of a run's classes; ValueError says what is missing."""
    unknown = [name for name, value in choice.shares.items() if value and name not in classes]
    unknown += [choice.positive] if choice.positive and choice.positive not in classes else []
    if unknown:
        raise ValueError(f"There are no predictions of the class “{unknown[0]}”.")
    return Success(
        choice.metric,
        positive=classes.index(choice.positive) if choice.positive else 0,
        precision=choice.precision,
        costs=_cost_matrix(choice, classes) if choice.costs else None,
        shares=np.array([choice.shares.get(name, 0.0) for name in classes])
        if choice.shares
        else None,
    )


def _cost_matrix(choice: Choice, classes: list[str]) -> np.ndarray:
    """Return the cost of each kind of mistake; one that nobody named costs 1."""
    costs = np.ones((len(classes), len(classes)))
    for row, given in enumerate(classes):
        told = choice.costs.get(given, {})
        for column, said in enumerate(classes):
            costs[row, column] = told.get(said, told.get(EVERY_OTHER, 1.0))
    np.fill_diagonal(costs, 0.0)
    return costs


def _measured(
    run: Run, material: Material, name: str, choice: Choice, groups: np.ndarray
) -> dict[str, Any]:
    values = arrays.run_array(run, name)
    if values is None:
        return {"reason": "Its predictions are gone from the disk."}
    place = {name: number for number, name in enumerate(run.classes)}
    labels = np.array([place.get(name or "", -1) for name in material.names])
    rows = np.flatnonzero((labels >= 0) & ~np.isnan(values).any(axis=1))
    try:
        success = success_for(choice, run.classes)
        found = measure(
            success, labels[rows], probabilities=np.asarray(values)[rows], groups=groups[rows]
        )
    except ValueError as impossible:  # the words are for people
        return {"reason": str(impossible)}
    told = {"value": found.value, "low": found.low, "high": found.high}
    return {**told, "span": success.unit, "n": len(rows)}


def _changed(comparison: Comparison, choice: Choice) -> dict[str, Any]:
    sides = [arrays.comparison_array(comparison.pk, side) for side in ("before", "after")]
    given = arrays.comparison_array(comparison.pk, "before_given")
    if sides[0] is None or sides[1] is None or given is None:
        return {"reason": "Its predictions are gone from the disk."}
    before, after = np.asarray(sides[0]), np.asarray(sides[1])
    is_known = ~np.isnan(before).any(axis=1) & ~np.isnan(after).any(axis=1)
    rows = np.flatnonzero(is_known & (np.asarray(given) >= 0))
    groups = copies.groups_kept(comparison.old, read_material(comparison.old.version))[rows]
    labels, before, after = np.asarray(given)[rows], before[rows], after[rows]
    try:
        success = success_for(choice, comparison.result["classes"])
        change = difference(success, labels, before=before, after=after, groups=groups)
        then = measure(success, labels, probabilities=before, groups=groups).value
    except ValueError as impossible:
        return {"reason": str(impossible)}
    return {
        "before": then,
        "after": then + change.value,
        "difference": change.value,
        "low": change.low,
        "high": change.high,
        "span": success.unit,
    }
