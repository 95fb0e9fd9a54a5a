"""What each kind of change between two versions contributed: the gain less that without it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import transaction

from labeling.queries.versions import Change, Line
from labeling.services.jobs import Refused, Work
from labeling.services.versions import read_manifest
from mlcore.folds import join_groups
from quality import arrays
from quality.models import Comparison
from quality.queries.judge import spread
from quality.queries.merging import became
from quality.services import figures
from quality.services.compare import held_back
from quality.services.copies import groups_kept
from quality.services.features import choose_backbone, features_of
from quality.services.heads import fit_head, read_by
from quality.services.material import Material, check_material, material_of, read_material
from quality.services.runs import count_opening, dataset_of
from quality.services.scoring import score_comparison

KIND_OF = {
    "relabelled": "relabelled",
    "labelled": "given",
    "unlabelled": "given",
    "left_out": "left_out",
    "moved": "moved",
    "added": "added",
    "file": "file",
}
FIELDS = {"relabelled": "label", "given": "label", "moved": "split", "file": "sha256"}
SIDES = ("old__version__dataset", "new__version__dataset")
GONE = "The predictions of this comparison are gone from the disk."


@dataclass(frozen=True)
class Proof:
    """A comparison on test items with all that leaving a kind of change out has to know."""

    comparison: Comparison
    old: Material
    new: Material
    changes: list[Change]
    lines: dict[str, Line]
    rows: np.ndarray
    given: np.ndarray
    before: np.ndarray  # probabilities, of those rows
    after: np.ndarray


def contribute(work: Work) -> dict[str, Any]:
    """Measure what each kind of change contributed: the body of a `contributions` job.

    For each kind the later version is put together without it, a head learns that under the
    protocol and seed of the comparison, and both are judged on the same test items.
    """
    comparison = _comparison(work)
    if "contributions" in comparison.result:
        return {"comparison": comparison.pk, "unchanged": True}
    proof = _read(comparison)
    by_kind = changes_by_kind(proof.changes)
    if not by_kind:
        raise Refused("The two versions hold the same items, labels and splits.")
    parts = []
    for done, (kind, changes) in enumerate(by_kind.items()):
        work.progress(done, len(by_kind), message=f"Leaving out: {kind}", now=True)
        parts.append({"kind": kind, "items": len(changes), **_part(work, proof, kind, changes)})
    _finish(work, comparison, parts)
    score_comparison(Comparison.objects.select_related(*SIDES).get(pk=comparison.pk))
    return {"comparison": comparison.pk, "parts": parts, "unchanged": False}


def changes_by_kind(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """Sort changes by kind, in the order of KIND_OF; one item can be in several."""
    found: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        for kind in change.kinds:
            if kind in KIND_OF:
                found[KIND_OF[kind]].append(change)
    return {kind: found[kind] for kind in dict.fromkeys(KIND_OF.values()) if kind in found}


def lines_without(kind: str, changes: Iterable[Change], lines: Mapping[str, Line]) -> list[Line]:
    """Return the later version's lines as they would be without these changes of one kind."""
    kept = dict(lines)
    for change in changes:
        if change.was is None:
            del kept[change.key]
        elif change.now is None:
            kept[change.key] = change.was
        else:
            name = FIELDS[kind]
            kept[change.key] = {**kept[change.key], name: change.was[name]}
    return [kept[key] for key in sorted(kept)]


def _comparison(work: Work) -> Comparison:
    found = (
        Comparison.objects.filter(dataset=dataset_of(work), pk=work.options["comparison"])
        .exclude(result={})
        .select_related(*SIDES)
        .first()
    )
    if found is None:
        raise Refused("There is no such comparison of this dataset.")
    if found.result["on"] != "test":
        raise Refused(
            "The two versions were not compared on test items. Label some in the test split of "
            "the earlier version: only there can every part be judged on the same items."
        )
    return found


def _read(comparison: Comparison) -> Proof:
    old, new = read_material(comparison.old.version), read_material(comparison.new.version)
    was, now = ({line["key"]: line for line in read_manifest(side.version)} for side in (old, new))
    changes = [
        Change(key=key, was=was.get(key), now=now.get(key))
        for key in sorted(was.keys() | now.keys())
        if was.get(key) != now.get(key)
    ]
    found = [
        arrays.comparison_array(comparison.pk, name) for name in ("before", "after", "before_given")
    ]
    before, after, given = found
    if before is None or after is None or given is None:
        raise Refused(GONE)
    guesses = [arrays.predicted_classes(side) for side in (before, after)]
    rows = np.flatnonzero((guesses[0] >= 0) & (guesses[1] >= 0))
    return Proof(
        comparison=comparison,
        old=old,
        new=new,
        changes=changes,
        lines=now,
        rows=rows,
        given=np.asarray(given)[rows],
        before=np.asarray(before)[rows],
        after=np.asarray(after)[rows],
    )


def _part(work: Work, proof: Proof, kind: str, changes: list[Change]) -> dict[str, Any]:
    """Return what the later version has over itself without one kind, or why nobody can tell."""
    without = material_of(proof.new.version, lines_without(kind, changes, proof.lines))
    try:
        check_material(without)
    except Refused as refusal:
        return {"refused": str(refusal)}
    if _learned(proof, without) == _learned(proof, proof.new):
        found = proof.after
    elif _learned(proof, without) == _learned(proof, proof.old):
        found = proof.before  # the only kind that anything was learned from
    else:
        found = _predicted(work, proof, without)
    whole = np.full((len(proof.old.keys), found.shape[1]), np.nan, dtype=np.float32)
    whole[proof.rows] = found
    arrays.save_comparison(proof.comparison.pk, {f"without_{kind}": whole})
    groups = groups_kept(proof.comparison.old, proof.old)[proof.rows]
    before, after = (arrays.predicted_classes(side) == proof.given for side in (found, proof.after))
    return figures.paired(before, after, groups, is_same=found is proof.after)


def _learned(proof: Proof, material: Material) -> list[tuple[str, str, str | None]]:
    rows = np.flatnonzero(material.is_learned & ~held_back(proof.old, material))
    return [(material.keys[row], material.hashes[row], material.names[row]) for row in rows]


def _predicted(work: Work, proof: Proof, without: Material) -> np.ndarray:
    """Return the classes that a head of this material gives the judged items."""
    run, old = proof.comparison.new, proof.old
    backbone, _ = choose_backbone(work, without, named=run.backbone)
    head = fit_head(
        work,
        run,
        learned=without,
        backbone=backbone,
        rows=without.is_learned & ~held_back(old, without),
        groups=_groups(proof, without),
    )
    judged = np.zeros(len(old.keys), dtype=bool)
    judged[proof.rows] = True
    found = head.predict(features_of(work, old, backbone=read_by(run, backbone), rows=judged))
    classes = proof.comparison.result["classes"]
    ends = became(proof.comparison.dataset, known=classes)
    return spread(found, [ends.get(name, name) for name in without.classes], classes)


def _groups(proof: Proof, without: Material) -> np.ndarray:
    """Return the later run's groups; what only the earlier one has joins by that one's groups."""
    comparison = proof.comparison
    new, old = (
        dict(zip(material.keys, groups_kept(run, material).tolist(), strict=True))
        for run, material in ((comparison.new, proof.new), (comparison.old, proof.old))
    )
    restored = {old[key] for key in without.keys if key not in new}
    earlier = [old.get(key) if old.get(key) in restored else None for key in without.keys]
    return join_groups([new.get(key) for key in without.keys], earlier)


@transaction.atomic
def _finish(work: Work, comparison: Comparison, parts: list[dict[str, Any]]) -> None:
    """Keep the parts; judging them on test items is one more look at those."""
    work.hold()
    row = Comparison.objects.select_for_update().get(pk=comparison.pk)
    row.result["contributions"] = parts
    row.save(update_fields=["result"])
    sides = "v{old[version]} → v{new[version]}".format(**row.result)
    reason = f"What each kind of change contributed, {sides}"
    count_opening(comparison.new, by=work.job.by, reason=reason)
