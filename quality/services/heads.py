"""The head of a run that learned all it may see, and what it says of any items."""

from typing import TYPE_CHECKING

import numpy as np

from labeling import shards
from labeling.services.jobs import Work
from quality import arrays
from quality.models import Run
from quality.services import augmentation, copies
from quality.services.features import choose_backbone, features_of
from quality.services.material import Material

if TYPE_CHECKING:
    from mlcore.features import Backbone
    from mlcore.head import Head


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
    probabilities[rows] = head.predict(features_of(work, of, backbone=backbone, rows=rows))
    return probabilities


def final_head(
    work: Work,
    run: Run,
    *,
    learned: Material,
    backbone: "Backbone",
    without: np.ndarray | None = None,
) -> "Head":
    """Return a head that learned all that a run may see; that of the run's version is kept."""
    from mlcore.head import Head

    path = arrays.run_folder(run) / "head.npz"
    is_own = without is None and learned.version == run.version
    if is_own and path.exists():
        return Head.load(path)
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
) -> "Head":
    """Return a head that learned these rows under the protocol of a run."""
    from mlcore.protocols import Protocol
    from mlcore.training import Cancelled, fit_final

    features = features_of(work, learned, backbone=backbone, rows=rows)
    is_readable = ~np.isnan(features).any(axis=1)
    protocol = Protocol(**run.protocol)
    changed = augmentation.copies_of(
        work, learned, backbone=backbone, protocol=protocol, rows=rows, vectors=features
    )
    work.progress(message=f"Training the final head of run {run.number}", now=True)
    try:
        return fit_final(
            features[is_readable],
            learned.labels[rows][is_readable],
            groups[rows][is_readable],
            n_classes=len(learned.classes),
            protocol=protocol,
            copies=None if changed is None else changed[is_readable],
            should_stop=work.should_stop,
        )
    except Cancelled:
        work.check()
        raise
