"""Vectors of contents: computed once per backbone, kept in immutable shards."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from django.conf import settings

from labeling import shards, storage
from labeling.models import Content
from labeling.services.jobs import Refused, Work
from quality import arrays
from quality.models import Run
from quality.services.material import Material, stopped_in_words

if TYPE_CHECKING:
    from mlcore.features import Backbone
    from mlcore.protocols import Protocol

CONTENTS_A_SHARD = 1_024  # read and kept at a time: what a stopped job has to do again at most
TRIAL_FOLDS = 3  # choosing between two backbones needs a ranking, not a figure
TRIAL_EPOCHS = 15
TRIAL_ITEMS = 2_000  # an accuracy of .8 is then known to a standard error of .009


def backbones_for(media: str, contents: Iterable[Mapping[str, Any]]) -> "list[Backbone]":
    """Return what can turn such items into vectors here, preferred first.

    `contents` are the facts of the items' contents: how large pictures are decides the size
    that a network looks at them in.
    """
    from mlcore.features import choose_backbones

    sides = [min(facts["width"], facts["height"]) for facts in contents if "width" in facts]
    native = float(np.median(sides)) if sides else None
    return choose_backbones(media, weights_folder=settings.WEIGHTS_DIR, native_side=native)


def backbone_named(media: str, name: str) -> "Backbone | None":
    """Return the backbone of this name, if it can run here."""
    from mlcore.features import known_backbones

    known = known_backbones(media, weights_folder=settings.WEIGHTS_DIR)
    return next((backbone for backbone in known if backbone.name == name), None)


def backbones_of(material: Material) -> "list[Backbone]":
    """Return what can turn the items of a version into vectors here, preferred first."""
    facts = (content.facts for content in material.contents.values())
    return backbones_for(material.version.dataset.media, facts)


def can_tune(material: Material) -> bool:
    """Whether there is a network here whose top layers these items could fine-tune."""
    from mlcore.features import maps_of
    from mlcore.protocols import MOST_TUNED

    is_few = int(material.is_learned.sum()) <= MOST_TUNED
    return is_few and maps_of(backbones_of(material)[0]) is not None


def check_backbone(run: Run) -> None:
    """Refuse to go on from a run whose vectors cannot be made here: figures would not compare."""
    _named(run.dataset.media, run.backbone)


def choose_backbone(
    work: Work, material: Material, *, named: str = ""
) -> tuple["Backbone", dict[str, float]]:
    """Return the named backbone, else the one that predicts best unseen groups, and the trial."""
    from mlcore.protocols import Protocol

    if named:
        return _named(material.version.dataset.media, named), {}
    candidates = backbones_of(material)
    if len(candidates) == 1:
        return candidates[0], {}
    trial = Protocol(n_folds=TRIAL_FOLDS, epochs=TRIAL_EPOCHS)
    scores = {
        candidate.name: _trial(work, material, candidate, replace(trial, backbone=candidate.name))
        for candidate in candidates
    }
    best = max(candidates, key=lambda candidate: scores[candidate.name])
    return best, {candidate.title: scores[candidate.name] for candidate in candidates}


def features_of(
    work: Work, material: Material, *, backbone: "Backbone", rows: np.ndarray
) -> np.ndarray:
    """Return one vector per chosen row of a version; computes only contents without one.

    A content that can no longer be read has a row of NaN.
    """
    extend_features(work, material.contents, backbone=backbone)
    hashes = [material.hashes[row] for row in np.flatnonzero(rows)]
    return arrays.load_features(backbone.name, hashes)


def extend_features(work: Work, contents: Mapping[str, Content], *, backbone: "Backbone") -> int:
    """Compute and keep the vectors that are missing; returns how many."""
    known = arrays.known_contents(backbone.name)
    missing = sorted(sha256 for sha256 in contents if sha256 not in known)
    for start in range(0, len(missing), CONTENTS_A_SHARD):
        part = missing[start : start + CONTENTS_A_SHARD]
        work.check()
        work.progress(start, len(missing), message=f"Computing features: {backbone.title}")
        vectors = _extract(
            work, [bytes_of(contents[sha256]) for sha256 in part], backbone, done=start
        )
        shards.save_features(backbone.name, part, vectors=vectors)
        work.keep()
    return len(missing)


def _extract(work: Work, contents: list[bytes], backbone: "Backbone", *, done: int) -> np.ndarray:
    from mlcore.features import Stopped, extract

    try:
        return extract(
            backbone,
            contents,
            progress=lambda count: work.progress(done + count),
            should_stop=work.should_stop,
        )
    except Stopped:
        work.check()
        raise
    except ValueError:
        return vectors_of_readable(contents, backbone)


def vectors_of_readable(contents: list[bytes], backbone: "Backbone") -> np.ndarray:
    """Return one vector a content; a row of NaN for one that cannot be decoded."""
    from mlcore.features import extract

    try:
        return extract(backbone, contents)
    except ValueError:  # one of them; the others are still worth having
        return np.concatenate([_one(content, backbone) for content in contents])


def _one(content: bytes, backbone: "Backbone") -> np.ndarray:
    from mlcore.features import extract

    try:
        return extract(backbone, [content])
    except ValueError:
        return np.full((1, backbone.dimensions), np.nan, dtype=np.float32)


def bytes_of(content: Content) -> bytes:
    """Return the original file, or the text in UTF-8."""
    return content.text.encode() if content.text else storage.read_bytes(content.pk)


def _named(media: str, name: str) -> "Backbone":
    found = backbone_named(media, name)
    if found:
        return found
    raise Refused(
        f"The earlier run used {name}, which cannot be made here. Set WINNOW_WEIGHTS to the folder "
        "of its weight file, as where that run was trained; or train again without it first."
    )


def _trial(work: Work, material: Material, backbone: "Backbone", protocol: "Protocol") -> float:
    """Return the accuracy of a quick cross-validation on some of the items."""
    from mlcore.training import cross_validate

    features = features_of(work, material, backbone=backbone, rows=material.is_learned)
    rows = np.flatnonzero(~np.isnan(features).any(axis=1))
    if len(rows) > TRIAL_ITEMS:
        rng = np.random.default_rng(protocol.seed)
        rows = np.sort(rng.choice(rows, TRIAL_ITEMS, replace=False))
    labels = material.labels[material.is_learned][rows]
    work.progress(message=f"Trying {backbone.title}", now=True)
    with stopped_in_words(work):
        found = cross_validate(
            features[rows],
            labels,
            material.groups[material.is_learned][rows],
            n_classes=len(material.classes),
            protocol=protocol,
            should_stop=work.should_stop,
        )
    return float((found.probabilities.argmax(axis=1) == labels).mean())
