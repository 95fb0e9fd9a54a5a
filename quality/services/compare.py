"""Before/After: what the changes between two versions bought, on items that stay the same."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction

from labeling.models import Dataset, Version
from labeling.queries.success import choice_of
from labeling.services.jobs import Refused, Work
from quality import arrays
from quality.models import Comparison, Run
from quality.queries.changes import work_between
from quality.queries.judge import spread
from quality.queries.merging import became
from quality.queries.runs import newest_done
from quality.queries.success import as_plain
from quality.services import figures, scoring
from quality.services.copies import groups_kept
from quality.services.features import check_backbone
from quality.services.heads import predict_rows
from quality.services.material import Material, read_material
from quality.services.runs import count_opening, dataset_of, run_version


@dataclass(frozen=True)
class Judged:
    """The same items as two runs see them; class numbers are places in `classes`, -1 is none.

    `is_same` where every probability is the same: nothing that either learned differs.
    """

    rows: np.ndarray
    classes: list[str]
    given: np.ndarray
    given_later: np.ndarray
    before: np.ndarray
    after: np.ndarray
    groups: np.ndarray
    keys: list[str]
    is_same: bool
    held_back: int = 0


def prove(work: Work) -> dict[str, Any]:
    """Compare two versions under one protocol: the body of a `prove` job.

    On the earlier version's test items, which neither head learned from; without any, on the
    out-of-fold predictions of the items that both versions share.
    """
    dataset = dataset_of(work)
    old, new = (_version(dataset, work.options[side]) for side in ("old", "new"))
    if newest := newest_done(dataset):
        check_backbone(newest)
    old_run, _ = run_version(work, old)
    new_run, _ = run_version(work, new, like=old_run)
    there = Comparison.objects.filter(old=old_run, new=new_run).exclude(result={}).first()
    if there:
        return {**headline(there), "comparison": there.pk, "unchanged": True}
    comparison = _begin(work, dataset, old_run, new_run)
    material = read_material(old), read_material(new)
    is_on_test = bool(material[0].is_judged.any())
    judged = (_on_test if is_on_test else _out_of_fold)(work, comparison, material)
    if not len(judged.rows):
        raise Refused("The two versions share no item that both could be judged on.")
    result = _result(judged, comparison, is_on_test=is_on_test)
    _finish(work, comparison, result, opened=is_on_test)
    scoring.score_comparison(comparison)
    return {**headline(comparison), "comparison": comparison.pk, "unchanged": False}


def headline(comparison: Comparison) -> dict[str, Any]:
    """Return what `prove --json` prints."""
    result = comparison.result
    names = (
        "before",
        "after",
        "difference",
        "low",
        "high",
        "n",
        "on",
        "old",
        "new",
        "later_labels",
    )
    told = {name: result[name] for name in names}
    choice = choice_of(Dataset.objects.get(pk=comparison.dataset_id))
    chosen = as_plain(result.get("success"), choice)
    return {**told, "success": chosen} if chosen else told


def _version(dataset: Dataset, number: int) -> Version:
    version = dataset.versions.filter(number=number).first()
    if version is None:
        known = ", ".join(
            f"v{known}" for known in dataset.versions.values_list("number", flat=True)
        )
        raise Refused(f"There is no version v{number} of this dataset. Known: {known or 'none'}.")
    return version


def _begin(work: Work, dataset: Dataset, old: Run, new: Run) -> Comparison:
    comparison, _ = Comparison.objects.update_or_create(
        old=old, new=new, defaults={"dataset": dataset, "job": work.job}
    )
    return comparison


def _on_test(work: Work, comparison: Comparison, material: tuple[Material, Material]) -> Judged:
    """Both final heads on the earlier version's labelled test items.

    Neither learned from these items, nor from the same bytes under another key.
    """
    old, new = material
    is_copy, is_held_back = held_back(old, old), held_back(old, new)
    before = predict_rows(
        work, comparison.old, learned=old, of=old, rows=old.is_judged, without=is_copy
    )
    if comparison.old_id == comparison.new_id:
        after = before
    else:
        after = predict_rows(
            work, comparison.new, learned=new, of=old, rows=old.is_judged, without=is_held_back
        )
    return _judge(
        comparison, material, before=before, after=after,
        held_back=int((is_held_back & new.is_learned).sum()),
    )  # fmt: skip


def held_back(old: Material, later: Material) -> np.ndarray:
    """Return which items of a version no head may learn: judged ones, and the same bytes."""
    judged = np.flatnonzero(old.is_judged)
    keys, hashes = {old.keys[row] for row in judged}, {old.hashes[row] for row in judged}
    pairs = zip(later.keys, later.hashes, strict=True)
    return np.array([key in keys or sha256 in hashes for key, sha256 in pairs], dtype=bool)


def _out_of_fold(work: Work, comparison: Comparison, material: tuple[Material, Material]) -> Judged:
    """Both runs' out-of-fold predictions on the items that both predicted."""
    old, new = material
    before = _out_of_sample(comparison.old)
    after = np.full((len(old.keys), len(new.classes)), np.nan, dtype=np.float32)
    place = {key: row for row, key in enumerate(new.keys)}
    later = _out_of_sample(comparison.new)
    for row, key in enumerate(old.keys):
        if key in place and not np.isnan(before[row][0]):
            after[row] = later[place[key]]
    before = np.where(np.isnan(after[:, :1]), np.nan, before).astype(np.float32)
    return _judge(comparison, material, before=before, after=after)


def _out_of_sample(run: Run) -> np.ndarray:
    found = arrays.run_array(run, "probabilities")
    if found is None:
        raise Refused(f"The predictions of run {run.number} are gone from the disk; train again.")
    return np.asarray(found)


def _judge(
    comparison: Comparison,
    material: tuple[Material, Material],
    *,
    before: np.ndarray,
    after: np.ndarray,
    held_back: int = 0,
) -> Judged:
    """Bring both sides to one list of classes, keep their predictions and pick the rows.

    Classes that were merged in between are one on both sides: which of them it is, is not asked
    any more.
    """
    old, new = material
    later = dict(zip(new.keys, new.names, strict=True))
    names_later = [later.get(key) for key in old.keys]
    ends = became(comparison.dataset, known=[*new.classes, *filter(None, new.names)])
    names = [ends.get(name or "", name) for name in old.names]
    own = [ends.get(name, name) for name in old.classes]
    classes = _all_classes([*own, *new.classes], [*names, *names_later])
    sides = {"before": spread(before, own, classes), "after": spread(after, new.classes, classes)}
    given, given_later = (arrays.class_numbers(told, classes) for told in (names, names_later))
    arrays.save_comparison(
        comparison.pk, {**sides, "before_given": given, "after_given": given_later}
    )
    guesses = {side: arrays.predicted_classes(values) for side, values in sides.items()}
    rows = np.flatnonzero((guesses["before"] >= 0) & (guesses["after"] >= 0))
    return Judged(
        rows=rows,
        classes=classes,
        given=given[rows],
        given_later=given_later[rows],
        before=guesses["before"][rows],
        after=guesses["after"][rows],
        groups=groups_kept(comparison.old, old)[rows],
        keys=[old.keys[row] for row in rows],
        is_same=bool(np.array_equal(sides["before"][rows], sides["after"][rows])),
        held_back=held_back,
    )


def _all_classes(learned: list[str], names: list[str | None]) -> list[str]:
    return list(dict.fromkeys([*learned, *sorted({name for name in names if name})]))


def _result(judged: Judged, comparison: Comparison, *, is_on_test: bool) -> dict[str, Any]:
    right_before, right_after = judged.before == judged.given, judged.after == judged.given
    newly_right = np.flatnonzero(right_after & ~right_before)
    newly_wrong = np.flatnonzero(right_before & ~right_after)
    old, new = comparison.old, comparison.new
    counts = {
        side: figures.count_matrix(judged.given, guess, n_classes=len(judged.classes))
        for side, guess in (("before", judged.before), ("after", judged.after))
    }
    return {
        **figures.paired(right_before, right_after, judged.groups, is_same=judged.is_same),
        "groups": len(np.unique(judged.groups)),
        "on": "test" if is_on_test else "shared",
        "old": {"version": old.version.number, "run": old.number},
        "new": {"version": new.version.number, "run": new.number},
        "right_before": int(right_before.sum()),
        "right_after": int(right_after.sum()),
        "newly_right": [judged.keys[row] for row in newly_right],
        "newly_wrong": [judged.keys[row] for row in newly_wrong],
        "recalls": figures.recalls(
            right_before,
            right_after,
            judged.groups,
            labels=judged.given,
            classes=judged.classes,
            is_same=judged.is_same,
        ),
        "later_labels": _under_later_labels(judged),
        "classes": judged.classes,
        "order": figures.similar_order(counts["before"] + counts["after"]),
        "matrix_before": counts["before"].tolist(),
        "matrix_after": counts["after"].tolist(),
        "held_back": judged.held_back,
        "protocol": old.protocol,
        "backbone": old.metrics["backbone"],
        "changes": work_between(old.version, new.version),
    }


def _under_later_labels(judged: Judged) -> dict[str, Any] | None:
    """The same comparison by the later version's labels, where any of them differs."""
    has_later = judged.given_later >= 0
    if not (judged.given != judged.given_later)[has_later].any():
        return None
    rows = np.flatnonzero(has_later)
    right_before = (judged.before == judged.given_later)[rows]
    right_after = (judged.after == judged.given_later)[rows]
    changed = int((judged.given != judged.given_later)[rows].sum())
    change = figures.paired(right_before, right_after, judged.groups[rows], is_same=judged.is_same)
    return {**change, "changed": changed}


@transaction.atomic
def _finish(work: Work, comparison: Comparison, result: dict[str, Any], *, opened: bool) -> None:
    """Keep the result; on test items it counts as one look for each of the two runs."""
    work.hold()
    comparison.result = result
    comparison.save(update_fields=["result"])
    if opened:
        reason = f"Before/After v{result['old']['version']} → v{result['new']['version']}"
        for run in {comparison.old.pk: comparison.old, comparison.new.pk: comparison.new}.values():
            count_opening(run, by=comparison.job.by if comparison.job else None, reason=reason)
