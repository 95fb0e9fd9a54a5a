"""What the team's present system predicts: its probabilities from a table, kept as a run.

Its accuracy stands beside the model's on the same labels. Whether that system learned from
these items is not known here; test items stay sealed, what it says of them is only kept.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from labeling.models import Dataset
from labeling.queries.success import choice_of
from labeling.services.intake.placing import plain_name
from labeling.services.intake.tables import Row, Table, read_table
from labeling.services.jobs import Refused, Work
from labeling.services.versions import NothingToFreezeError, freeze_version
from mlcore.files import sha256_of
from quality import arrays
from quality.models import Run
from quality.queries.runs import newest_done
from quality.queries.success import as_plain
from quality.services import copies, figures, scoring
from quality.services.material import Material, read_material

MOST_PROBLEMS_KEPT = 1_000  # in the job's result; all are counted
MOST_OFF_ONE = 0.02  # what rounding to two digits may take from a sum of 1


@dataclass
class Told:
    """What a table says of a version's items; rows that it leaves out are NaN."""

    classes: list[str]
    probabilities: np.ndarray
    ignored: list[str]
    problems: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_told(self) -> np.ndarray:
        return ~np.isnan(self.probabilities).any(axis=1)


def import_predictions(work: Work) -> dict[str, Any]:
    """Keep a table of probabilities as a run: the body of an `import_predictions` job."""
    dataset = work.job.dataset
    assert dataset is not None
    path = Path(work.options["path"])
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read ({error.strerror}).") from error
    work.progress(message="Reading the predictions", now=True)
    table = read_table(path.name, content, columns=work.options.get("columns") or {})
    try:
        version, _ = freeze_version(dataset=dataset, by=work.job.by)
    except NothingToFreezeError as empty:
        raise Refused(str(empty)) from None
    material = read_material(version)
    told = _told(table, material, known=_class_names(dataset, material))
    judged = np.flatnonzero(told.is_told & material.is_learned)
    if not len(judged):
        raise Refused(_nothing_to_judge(told))
    protocol = {"imported": path.name, "sha256": sha256_of(content)}
    there = Run.objects.filter(version=version, protocol=protocol, finished_at__isnull=False)
    run = there.first() or _keep(work, material, told, judged=judged, protocol=protocol)
    return {**summary(run), **_counted(told), "unchanged": there.exclude(job=work.job).exists()}


def summary(run: Run) -> dict[str, Any]:
    """Return what `import_predictions --json` prints of a run."""
    metrics = run.metrics
    chosen = as_plain(metrics.get("success"), choice_of(Dataset.objects.get(pk=run.dataset_id)))
    return {
        **({"success": chosen} if chosen else {}),
        "run": run.number,
        "version": run.version.number,
        "accuracy": metrics["accuracy"]["value"],
        "low": metrics["accuracy"]["low"],
        "high": metrics["accuracy"]["high"],
        "macro_f1": metrics["macro_f1"]["value"],
        "baseline": metrics["baselines"][0]["value"],
        "n": metrics["n"],
        "model": metrics.get("model"),
    }


def _counted(told: Told) -> dict[str, Any]:
    return {
        "imported": int(told.is_told.sum()),
        "rejected": len(told.problems),
        "ignored_columns": told.ignored,
        "problems": told.problems[:MOST_PROBLEMS_KEPT],
    }


def _class_names(dataset: Dataset, material: Material) -> list[str]:
    known = list(dataset.classes.values_list("name", flat=True))
    return list(dict.fromkeys([*known, *material.classes]))


def _nothing_to_judge(told: Told) -> str:
    if told.problems and not told.is_told.any():
        first = told.problems[0]
        return f"No line could be used. The first, line {first['line']}: {first['reason']}"
    return "No line is about a labelled item outside the test split, so nothing can be judged."


# --- the table ---------------------------------------------------------------------------------


def _told(table: Table, material: Material, *, known: list[str]) -> Told:
    if not table.has("key"):
        there = ", ".join(table.columns[:30])
        raise Refused(f"{table.name}: no column names the items (key). It has: {there}.")
    columns = _class_columns(table, known)
    classes = [name for name in known if name in columns or name in material.classes]
    told = Told(
        classes=classes,
        probabilities=np.full((len(material.keys), len(classes)), np.nan, dtype=np.float32),
        ignored=[c for c in table.columns if c not in {*columns.values(), table.roles["key"]}],
        problems=[
            {"line": line, "code": code, "reason": words} for line, (code, words) in table.problems
        ],
    )
    places = {key: row for row, key in enumerate(material.keys)}
    for row in table.rows:
        problem = _take(told, row, table.cell(row, "key"), columns=columns, places=places)
        if problem:
            told.problems.append({"line": row.line, "code": problem[0], "reason": problem[1]})
    return told


def _class_columns(table: Table, known: list[str]) -> dict[str, str]:
    """Return the column of each class: of the same name, else of one that differs in case."""
    folded = {column.casefold(): column for column in table.columns}
    found = {name: name if name in table.columns else folded.get(name.casefold()) for name in known}
    columns = {name: column for name, column in found.items() if column}
    if len(columns) < 2:
        raise Refused(
            f"{table.name}: a column for each class is wanted ({', '.join(known[:30])}); "
            f"there are: {', '.join(table.columns[:30])}."
        )
    return columns


def _take(
    told: Told, row: Row, key: str, *, columns: Mapping[str, str], places: Mapping[str, int]
) -> tuple[str, str] | None:
    """Put one line where it belongs, or say why it cannot be used."""
    cells = {name: row.cells.get(column, "") for name, column in columns.items()}
    if key and not any(cells.values()):
        return None  # our own exports leave unpredicted items empty
    place = places.get(key, places.get(plain_name(key), -1))
    if place < 0:
        return ("unknown_item", f"There is no item {key!r} in the version: unknown, or left out.")
    if told.is_told[place]:
        return ("predicted_twice", f"An earlier line predicts {key!r}; it counts.")
    values = {name: _number(cell) for name, cell in cells.items()}
    wrong = next((name for name, value in values.items() if not 0 <= value <= 1), None)
    if wrong is not None:
        return ("no_probability", f"{wrong}: {cells[wrong]!r} is no probability from 0 to 1.")
    total = sum(values.values())
    if abs(total - 1) > MOST_OFF_ONE:
        return ("no_probability", f"The probabilities sum to {total:.2f}, not 1.")
    told.probabilities[place] = [values.get(name, 0.0) / total for name in told.classes]
    return None


def _number(cell: str) -> float:
    """Return a number, also with a decimal comma; NaN for anything else."""
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return math.nan


# --- the run -----------------------------------------------------------------------------------


def _keep(
    work: Work, material: Material, told: Told, *, judged: np.ndarray, protocol: dict[str, Any]
) -> Run:
    model = newest_done(work.job.dataset) if work.job.dataset else None
    metrics = _metrics(material, told, judged=judged, model=model, name=protocol["imported"])
    run = _begin(work, material, told, protocol=protocol)
    test = np.full_like(told.probabilities, np.nan)
    test[material.is_test] = told.probabilities[material.is_test]
    seen = told.probabilities.copy()
    seen[~material.is_learned] = np.nan
    arrays.save_run(run, {"probabilities": seen, "kept_test_probabilities": test})
    metrics |= {"success": scoring.success_of(run, material)}
    run.metrics, run.finished_at = metrics, timezone.now()
    run.save(update_fields=["metrics", "finished_at"])
    return run


@transaction.atomic
def _begin(work: Work, material: Material, told: Told, *, protocol: dict[str, Any]) -> Run:
    """Make the run's row, or take the one that an earlier attempt of this job made."""
    dataset = material.version.dataset
    begun = Run.objects.filter(job=work.job, version=material.version, finished_at=None).first()
    if begun:
        return begun
    Dataset.objects.select_for_update().get(pk=dataset.pk)  # one number at a time
    number = (dataset.runs.aggregate(most=Max("number"))["most"] or 0) + 1
    return Run.objects.create(
        dataset=dataset,
        number=number,
        version=material.version,
        job=work.job,
        is_imported=True,
        protocol=protocol,
        backbone="imported",
        classes=told.classes,
    )


def _metrics(
    material: Material, told: Told, *, judged: np.ndarray, model: Run | None, name: str
) -> dict[str, Any]:
    place = {name_: number for number, name_ in enumerate(told.classes)}
    labels = np.array([place[material.names[row] or ""] for row in judged])
    guesses = told.probabilities[judged].argmax(axis=1)
    same_version = model and model.version_id == material.version.pk
    groups = copies.groups_kept(model, material) if model and same_version else material.groups
    found = figures.metrics_of_predictions(
        guesses, labels=labels, groups=groups[judged], n_classes=len(told.classes)
    )
    found |= {
        "n": len(judged),
        "sealed": int((told.is_told & material.is_test).sum()),
        "backbone": {
            "name": "imported", "title": name, "note": "", "is_fallback": False, "chosen_from": {}
        },
    }  # fmt: skip
    if model:
        found |= _beside(model, material, judged=judged, right=guesses == labels, groups=groups)
    return found


def _beside(
    model: Run, material: Material, *, judged: np.ndarray, right: np.ndarray, groups: np.ndarray
) -> dict[str, Any]:
    """Compare with the model's out-of-sample predictions, on the items that both predicted."""
    keys, guesses, _ = arrays.run_predictions(model)
    said = {key: model.classes[guess] for key, guess in zip(keys, guesses) if guess >= 0}
    both = np.array([material.keys[row] in said for row in judged], dtype=bool)
    if not both.any():
        return {}
    rows = judged[both]
    model_right = np.array([said[material.keys[row]] == material.names[row] for row in rows])
    change = figures.paired(model_right, right[both], groups[rows])
    return {
        "lead": {"over": f"Run {model.number}", **change},
        "model": {
            "run": model.number,
            "accuracy": change["before"],
            "difference": change["difference"],
            "low": change["low"],
            "high": change["high"],
            "n": change["n"],
        },
    }
