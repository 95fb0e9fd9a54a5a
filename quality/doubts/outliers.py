"""Items unlike everything else."""

from collections.abc import Iterator

import numpy as np
from django.utils.translation import gettext as _

from mlcore.outliers import LEAST_NEIGHBOURS, Outliers, find_outliers
from quality.doubts import CannotRunError, Doubt
from quality.queries.survey import Survey

CANDIDATE_SHARE = 0.01  # of the items: queues below the line stay short
FEWEST_CANDIDATES = 20
NEIGHBOURS_SHOWN = 8


def find_far_out(survey: Survey) -> Iterator[Doubt]:
    """Items whose nearest neighbours are far away, furthest out first."""
    if survey.graph is None or survey.graph.indices.shape[1] < LEAST_NEIGHBOURS:
        raise CannotRunError(_("It needs vectors of more items."))
    found = find_outliers(survey.graph, survey.doubted_labels)
    order = np.argsort(-found.score, kind="stable")
    return (_far_out(survey, row, found) for row in order[found.is_candidate[order]].tolist())


def most_outliers(n_items: int) -> int:
    """Return how many items below the line the queue goes on with."""
    return max(FEWEST_CANDIDATES, round(CANDIDATE_SHARE * n_items))


def _far_out(survey: Survey, row: int, found: Outliers) -> Doubt:
    assert survey.graph is not None
    near = zip(survey.graph.indices[row].tolist(), survey.graph.similarities[row].tolist())
    shown = list(near)[:NEIGHBOURS_SHOWN]
    reason = _(
        "Its nearest neighbours are %(times).1f times as far away as is usual in this dataset, and "
        "they lie closer to others than to it. Does it belong here?"
    )
    return Doubt(
        rows=(row,),
        score=float(found.score[row]),
        reason=reason % {"times": float(found.times_farther[row])},
        is_likely=bool(found.is_likely[row]),
        evidence={"neighbours": [[survey.ids[other], round(value, 3)] for other, value in shown]},
    )
