"""What is said once of a set whose file is in an order."""

from dataclasses import replace

import numpy as np
from django.utils.translation import gettext as _

from mlcore.chance import SURE
from mlcore.file_order import LEAST_NEARNESS, follow_order
from quality.queries.survey import Survey

SEED = 23
NAMES_CLASSES = 0.5  # share of the keys that name their class: folders, whose order is no news


def say_in_what_order(survey: Survey) -> str:
    """Say that the order of the import follows the classes or what items show; else nothing."""
    order = np.argsort(survey.ids, kind="stable")
    rank = np.argsort(order, kind="stable")
    graph = survey.graph
    if graph is not None:
        graph = replace(
            graph, indices=rank[graph.indices[order]], similarities=graph.similarities[order]
        )
    found = follow_order(survey.doubted_labels[order], graph=graph, rng=np.random.default_rng(SEED))
    told = []
    if found.by_class >= LEAST_NEARNESS and found.p_class <= SURE and not _is_in_folders(survey):
        told.append(
            _("Items of one class stand together in the file (%(near)d in 100, 0 is chance).")
            % {"near": round(100 * found.by_class)}
        )
    if found.by_likeness >= LEAST_NEARNESS and found.p_likeness <= SURE:
        told.append(
            _(
                "Within a class, items that are alike stand together in the file (%(near)d in "
                "100, 0 is chance), as takes of one session do."
            )
            % {"near": round(100 * found.by_likeness)}
        )
    if told:
        told.append(_("Don't cut it in this order: divide at random, or by source."))
    return " ".join(told)


def _is_in_folders(survey: Survey) -> bool:
    labelled = np.flatnonzero(survey.labels >= 0).tolist()
    naming = [
        survey.classes[survey.labels[row]].casefold() in survey.keys[row].casefold().split("/")
        for row in labelled
    ]
    return sum(naming) >= NAMES_CLASSES * len(labelled)
