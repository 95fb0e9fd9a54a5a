"""Vectors of changed copies, which are learned beside the items, and whether a mirror may be."""

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from labeling import shards
from labeling.models import Content, Item, Media
from labeling.services.jobs import Work
from mlcore.protocols import CHANGES, FLIP
from quality import arrays
from quality.services.features import (
    CONTENTS_A_SHARD,
    bytes_of,
    features_of,
    vectors_of_readable,
)
from quality.services.material import Material, stopped_in_words

if TYPE_CHECKING:
    from mlcore.features import Backbone
    from mlcore.protocols import Protocol

COPIES_AT_ONCE = 32  # half a second of work between two looks at whether to stop
MIRRORED_ITEMS = 300  # a share of .8 is then known to a standard error of .023
SURE = 0.05  # chance that as many answers are lost where a mirror changes nothing
WORST_CLASSES = 3


def copies_of(
    work: Work,
    material: Material,
    *,
    backbone: "Backbone",
    protocol: "Protocol",
    rows: np.ndarray,
    vectors: np.ndarray,
) -> np.ndarray | None:
    """Return the vector of a changed copy of each chosen row, or None without augmentation.

    Where a copy cannot be made, the item's own vector stands in.
    """
    from mlcore.augment import VERSION, augmented, rng_of

    if not protocol.augmentation:
        return None
    changes = protocol.augmentation.split("+")
    found = _changed_vectors(
        work,
        material,
        rows=np.flatnonzero(rows),
        backbone=backbone,
        name=f"{backbone.name}+{protocol.augmentation}-v{VERSION}",
        change=lambda sha256, content: augmented(content, changes, rng=rng_of(sha256)),
    )
    return np.where(np.isnan(found), vectors, found)


def try_mirror(
    work: Work,
    material: Material,
    *,
    backbone: "Backbone",
    rows: np.ndarray,
    groups: np.ndarray,
) -> dict[str, Any]:
    """Measure whether mirrored pictures are still taken for what they are labelled.

    By a head that learned neither them nor their groups, nor any mirrored picture. `changes` is
    true where more right answers are lost than chance explains.
    """
    from scipy.stats import binomtest

    from mlcore.augment import VERSION, mirrored
    from mlcore.protocols import HOLD_OUT, Protocol, divide
    from mlcore.training import fit_final

    protocol, labels = Protocol(scheme=HOLD_OUT), material.labels[rows]
    division = divide(labels, groups[rows], protocol=protocol)[0][0]
    seen, unseen = rows[division.seen], rows[division.unseen]
    rng = np.random.default_rng(protocol.seed)
    unseen = np.sort(rng.permutation(unseen)[:MIRRORED_ITEMS])
    if len(np.unique(material.labels[seen])) < 2:
        return {}
    with stopped_in_words(work):
        head = fit_final(
            _vectors(work, material, backbone, seen),
            material.labels[seen],
            groups[seen],
            n_classes=len(material.classes),
            protocol=protocol,
            should_stop=work.should_stop,
        )
    found = _changed_vectors(
        work,
        material,
        rows=unseen,
        backbone=backbone,
        name=f"{backbone.name}+mirror-v{VERSION}",
        change=lambda _sha256, content: mirrored(content),
    )
    unseen, found = unseen[~np.isnan(found).any(axis=1)], found[~np.isnan(found).any(axis=1)]
    answers = material.labels[unseen]
    before = head.predict(_vectors(work, material, backbone, unseen)).argmax(axis=1) == answers
    after = head.predict(found).argmax(axis=1) == answers
    lost, won = int((before & ~after).sum()), int((after & ~before).sum())
    is_sure = lost > won and binomtest(lost, lost + won, alternative="greater").pvalue < SURE
    worst = Counter(material.classes[label] for label in answers[before & ~after])
    return {
        "n": len(answers),
        "as_they_are": int(before.sum()),
        "mirrored": int(after.sum()),
        "changes": bool(is_sure),
        "worst": worst.most_common(WORST_CLASSES),
    }


def _vectors(work: Work, material: Material, backbone: "Backbone", rows: np.ndarray) -> np.ndarray:
    chosen = np.zeros(len(material.keys), dtype=bool)
    chosen[rows] = True
    return features_of(work, material, backbone=backbone, rows=chosen)


def _changed_vectors(
    work: Work,
    material: Material,
    *,
    rows: np.ndarray,
    backbone: "Backbone",
    name: str,
    change: Callable[[str, bytes], bytes],
) -> np.ndarray:
    """Return vectors of changed contents, kept under `name`; NaN where one cannot be made."""
    hashes = [material.hashes[row] for row in rows]
    missing = sorted(set(hashes) - arrays.known_contents(name).keys())
    for start in range(0, len(missing), CONTENTS_A_SHARD):
        part = missing[start : start + CONTENTS_A_SHARD]
        parts = []
        for at in range(0, len(part), COPIES_AT_ONCE):
            work.progress(start + at, len(missing), message="Describing changed copies")
            some = part[at : at + COPIES_AT_ONCE]
            parts.append(_described(work, some, material.contents, backbone, change))
        shards.save_features(name, part, vectors=np.concatenate(parts))
        work.keep()
    return arrays.load_features(name, hashes)


def _described(
    work: Work,
    hashes: list[str],
    contents: Mapping[str, Content],
    backbone: "Backbone",
    change: Callable[[str, bytes], bytes],
) -> np.ndarray:
    from mlcore.files import UnusableFile

    copies = []
    for sha256 in hashes:
        work.check()
        original = bytes_of(contents[sha256])
        try:
            copies.append(change(sha256, original))
        except UnusableFile:
            copies.append(b"")  # cannot be described either
    return vectors_of_readable(copies, backbone)


def preview_of(item: Item, changes: str) -> tuple[bytes, str] | None:
    """Return the copy that a training would learn, with its MIME type; None where there is none.

    Of a mirror alone every item has one, so that it can be seen.
    """
    from mlcore.augment import augmented, mirrored, rng_of
    from mlcore.files import UnusableFile

    asked, media = changes.split("+"), item.dataset.media
    if item.content is None or item.content.text or not set(asked) <= set(CHANGES[media]):
        return None
    try:
        original = bytes_of(item.content)
        if asked == [FLIP]:
            return mirrored(original), "image/png"
        copy = augmented(original, asked, rng=rng_of(item.content.pk))
    except (UnusableFile, FileNotFoundError):
        return None
    return copy, "image/png" if media == Media.IMAGE else "audio/wav"
