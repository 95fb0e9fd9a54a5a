"""What belongs together in a version: the copy sets that the checks find, and one source."""

from typing import TYPE_CHECKING

import numpy as np

from labeling.services.jobs import Work
from mlcore.copy_sets import copy_sets
from mlcore.duplicates import LEAST_SCORE
from mlcore.folds import join_groups
from quality import arrays
from quality.models import Run
from quality.queries.survey import CONTENT_FIELDS, Survey
from quality.services.graph import compared
from quality.services.material import Material

if TYPE_CHECKING:
    from mlcore.features import Backbone

ARRAY, COPIES = "groups", "copies"


def sets_of(work: Work, material: Material, *, backbone: "Backbone") -> list[int | None]:
    """Copy set of each item, as `detect` would flag it; None for an item without copies.

    Copies are looked for among all items: two train items may be copies through a third one.
    """
    there = np.flatnonzero(~material.is_withdrawn)
    survey = compared(work, _survey_of(material, there), backbone=backbone)
    sure = [pair for pair in survey.copies if pair.score >= LEAST_SCORE]
    copies: list[int | None] = [None] * len(material.keys)
    for number, rows in enumerate(copy_sets(len(survey), sure)):
        for row in rows:
            copies[there[row]] = number
    return copies


def keep_groups(run: Run, material: Material, copies: list[int | None]) -> np.ndarray:
    """Keep copy sets, and these joined with sources, beside a run's predictions; return groups."""
    groups = join_groups(material.groups, copies)
    sets = np.array([-1 if number is None else number for number in copies], dtype=np.int64)
    arrays.save_run(run, {ARRAY: groups, COPIES: sets})
    return groups


def groups_kept(run: Run, material: Material) -> np.ndarray:
    """Return the groups that a run went by; equal contents and sources where it kept none."""
    kept = arrays.run_array(run, ARRAY)
    return material.groups if kept is None else np.asarray(kept)


def _survey_of(material: Material, rows: np.ndarray) -> Survey:
    """See rows of a version as the checks see a dataset; ids and oddities play no part here."""
    return Survey(
        dataset=material.version.dataset,
        ids=[],
        keys=[material.keys[row] for row in rows],
        hashes=[material.hashes[row] for row in rows],
        splits=material.splits[rows],
        labels=material.labels[rows],
        groups=[material.sources[row] for row in rows],
        odd=[],
        classes=material.classes,
        contents={
            sha256: {name: getattr(content, name) for name in CONTENT_FIELDS}
            for sha256, content in material.contents.items()
        },
    )
