"""The head of a run that learned all it may see, and what it says of any items."""

from typing import TYPE_CHECKING

import numpy as np

from labeling import shards
from labeling.services.jobs import Work
from quality import arrays
from quality.models import Run
from quality.services import augmentation, copies
from quality.services.features import choose_backbone, features_of
from quality.services.material import Material, stopped_in_words

if TYPE_CHECKING:
    from mlcore.features import Backbone
    from mlcore.head import Head
    from mlcore.protocols import Protocol
    from mlcore.tuning import Maps, TunedHead


def predict_rows(
    work: Work,
    run: Run,
    *,
    learned: Material,
    of: Material,
    rows: np.ndarray,
    without: np.ndarray | None = None,
) -> np.ndarray:
    """Return probabilities for `rows` of a version, NaN elsewhere, by a run's final head.

    The head is fitted to all items of `learned` that a run may see, less those in `without`.
    """
    backbone, _ = choose_backbone(work, learned, named=run.backbone)
    head = final_head(work, run, learned=learned, backbone=backbone, without=without)
    probabilities = np.full((len(of.keys), len(learned.classes)), np.nan, dtype=np.float32)
    read = read_by(run, backbone)
    probabilities[rows] = head.predict(features_of(work, of, backbone=read, rows=rows))
    return probabilities


def read_by(run: Run, backbone: "Backbone") -> "Backbone":
    """Return what makes of items what the head of a run takes: maps where layers are tuned."""
    from mlcore.features import maps_of

    maps = maps_of(backbone) if run.protocol.get("tuned") else None
    return maps or backbone


def maps_for(
    work: Work, material: Material, *, backbone: "Backbone", protocol: "Protocol", rows: np.ndarray
) -> "Maps | None":
    """Return the maps of rows where fine-tuning is tried or done; NaN where one is unreadable."""
    from mlcore.features import maps_of
    from mlcore.tuning import Maps

    read = maps_of(backbone) if protocol.tuning else None
    if read is None or read.weights is None:
        return None
    return Maps(features_of(work, material, backbone=read, rows=rows), read.weights)


def final_head(
    work: Work,
    run: Run,
    *,
    learned: Material,
    backbone: "Backbone",
    without: np.ndarray | None = None,
) -> "Head | TunedHead":
    """Return a head that learned all that a run may see; that of the run's version is kept."""
    from mlcore.head import Head
    from mlcore.tuning import TunedHead

    path = arrays.run_folder(run) / "head.npz"
    is_own = without is None and learned.version == run.version
    if is_own and path.exists():
        return (TunedHead if run.protocol.get("tuned") else Head).load(path)
    seen = learned.is_learned if without is None else learned.is_learned & ~without
    groups = copies.groups_kept(run, learned)
    head = fit_head(work, run, learned=learned, backbone=backbone, rows=seen, groups=groups)
    if is_own:
        shards.save_file(path, head.save)
    return head


def fit_head(
    work: Work,
    run: Run,
    *,
    learned: Material,
    backbone: "Backbone",
    rows: np.ndarray,
    groups: np.ndarray,
) -> "Head | TunedHead":
    """Return a head that learned these rows under the protocol of a run."""
    from mlcore.protocols import Protocol
    from mlcore.training import fit_final

    features = features_of(work, learned, backbone=backbone, rows=rows)
    is_readable = ~np.isnan(features).any(axis=1)
    protocol = Protocol(**run.protocol)
    changed = augmentation.copies_of(
        work, learned, backbone=backbone, protocol=protocol, rows=rows, vectors=features
    )
    maps = None
    if protocol.tuned:
        maps = maps_for(work, learned, backbone=backbone, protocol=protocol, rows=rows)
    work.progress(message=f"Training the final head of run {run.number}", now=True)
    with stopped_in_words(work):
        return fit_final(
            features[is_readable],
            learned.labels[rows][is_readable],
            groups[rows][is_readable],
            n_classes=len(learned.classes),
            protocol=protocol,
            copies=None if changed is None else changed[is_readable],
            maps=None if maps is None else maps[is_readable],
            should_stop=work.should_stop,
        )
