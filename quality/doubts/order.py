"""Files in an order: items of one class, or alike within a class, stand side by side."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from django.utils.translation import gettext as _

from labeling.models import Split
from mlcore.chance import SURE
from mlcore.file_order import LEAST_NEARNESS, follow_order, side_by_side
from quality.doubts import Doubt
from quality.queries.mending import LIKENESS
from quality.queries.survey import Survey

SEED = 23
NAMES_CLASSES = 0.5  # share of the keys that name their class: folders, whose order is no news
LISTED = 12  # items shown of each end of the file
END = 10  # a tenth of the file is an end


def find_ordered_files(survey: Survey) -> Iterator[Doubt]:
    """What follows the order of the import: the classes, and what items of a class show."""
    order = np.argsort(survey.ids, kind="stable")
    labels, rng = survey.doubted_labels[order], np.random.default_rng(SEED)
    graph = survey.graph
    if graph is not None:
        rank = np.argsort(order, kind="stable")
        graph = replace(
            graph, indices=rank[graph.indices[order]], similarities=graph.similarities[order]
        )
    found = follow_order(labels, graph=graph, rng=rng)
    if found.by_class >= LEAST_NEARNESS and found.p_class <= SURE and not _is_in_folders(survey):
        is_cut = _is_cut(survey.splits[order], rng)
        yield _class_doubt(survey, order, found.by_class, p_value=found.p_class, is_cut=is_cut)
    if found.by_likeness >= LEAST_NEARNESS and found.p_likeness <= SURE:
        near = {"near": round(100 * found.by_likeness)}
        yield _doubt(
            survey,
            LIKENESS,
            [(_("stand together"), order[found.together])],
            size=found.by_likeness,
            p_value=found.p_likeness,
            reason=_(
                "Within a class, items that are alike stand together in the file (%(near)d in "
                "100, 0 is chance), as takes of one session do. Say which belong together (a "
                "source) and divide by source; else a split by chance tears them."
            )
            % near,
        )


def _class_doubt(
    survey: Survey, order: np.ndarray, size: float, *, p_value: float, is_cut: bool
) -> Doubt:
    end = max(1, len(order) // END)
    then = (
        _("The splits follow that order: divide anew, by chance or by source.")
        if is_cut
        else _("The splits do not follow it. Don't cut the file, or parts of it, in this order.")
    )
    words = _("Items of one class stand together in the file (%(near)d in 100, 0 is chance).")
    return _doubt(
        survey,
        "classes",
        [(_("first tenth of the file"), order[:end]), (_("last tenth of the file"), order[-end:])],
        size=size,
        p_value=p_value,
        reason=f"{words % {'near': round(100 * size)}} {then}",
        is_likely=is_cut,
    )


def _doubt(
    survey: Survey,
    topic: str,
    parts: list[tuple[str, np.ndarray]],
    *,
    size: float,
    p_value: float,
    reason: str,
    is_likely: bool = True,
) -> Doubt:
    listed = [rows[:: max(1, len(rows) // LISTED)][:LISTED].tolist() for _, rows in parts]
    rows = tuple(dict.fromkeys(row for side in listed for row in side))
    return Doubt(
        rows=rows,
        roles=("example",) * len(rows),
        topic=f"order by {topic}",
        score=min(1.0, size),
        reason=reason,
        is_likely=is_likely,
        evidence={
            "order": topic,
            "p_value": p_value,
            "parts": [
                {"name": name, "n": len(rows), "items": [survey.ids[row] for row in side]}
                for (name, rows), side in zip(parts, listed, strict=True)
            ],
        },
    )


def _is_cut(splits: np.ndarray, rng: np.random.Generator) -> bool:
    """Whether items of one split stand together too, or no item is in a split yet."""
    codes = np.unique(splits[splits != Split.NONE], return_inverse=True)[1]
    if not len(codes):
        return True
    nearness, p_value = side_by_side(codes, rng=rng)
    return nearness >= LEAST_NEARNESS and p_value <= SURE


def _is_in_folders(survey: Survey) -> bool:
    labelled = np.flatnonzero(survey.labels >= 0).tolist()
    naming = [
        survey.classes[survey.labels[row]].casefold() in survey.keys[row].casefold().split("/")
        for row in labelled
    ]
    return sum(naming) >= NAMES_CLASSES * len(labelled)
