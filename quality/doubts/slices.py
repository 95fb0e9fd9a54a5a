"""Where the model is clearly worse than elsewhere."""

import numpy as np
from django.utils.translation import gettext as _

from mlcore.slices import Slice, find_slices
from quality.doubts import CannotRunError, Doubt
from quality.doubts.classes import columns_of
from quality.queries.survey import Survey

SEED = 21
LISTED = 24  # items shown of a slice, the most surprising labels first
MOST_SLICES = 10  # a list of the worst; one repaired, the next check shows the rest
MOST_KEPT = 500  # items that a decision is about: a value of a column may hold half the dataset


def find_worst_slices(survey: Survey) -> list[Doubt]:
    """Clusters and column values where the model is worse than chance puts any, worst first."""
    if survey.probabilities is None:
        raise CannotRunError(_("It needs a finished run."))
    found = find_slices(
        survey.doubted_labels,
        survey.probabilities,
        vectors=survey.vectors,
        columns=columns_of(survey),
        rng=np.random.default_rng(SEED),
    )
    return [_slice_doubt(survey, slice_) for slice_ in found[:MOST_SLICES]]


def _slice_doubt(survey: Survey, slice_: Slice) -> Doubt:
    rows = slice_.rows.tolist()[:MOST_KEPT]
    told = {
        "n": len(slice_.rows),
        "wrong": round(100 * slice_.wrong),
        "elsewhere": round(100 * slice_.elsewhere),
        "column": slice_.column,
        "value": slice_.value,
    }
    reason = _(
        "The model, which never saw them, is wrong on %(wrong)d %% of these %(n)d items and on "
        "%(elsewhere)d %% of the others, and is surer of it than it should be."
    )
    name = _("%(column)s is %(value)s") if slice_.column else _("%(n)d items that are alike")
    assert survey.probabilities is not None
    said = survey.probabilities[rows[:LISTED]].argmax(axis=1)
    part = {
        "name": name % told,
        "n": len(slice_.rows),
        "items": [survey.ids[row] for row in rows[:LISTED]],
        "said": [survey.classes[label] for label in said.tolist()],
    }
    topic = f"value {slice_.column} {slice_.value}" if slice_.column else ""
    return Doubt(
        rows=tuple(rows),
        roles=("part",) * len(rows),
        topic=topic,
        score=slice_.excess / (1.0 + slice_.excess),
        reason=reason % told,
        evidence={"p_value": slice_.p_value, "parts": [part]},
    )
