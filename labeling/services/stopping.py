"""Whether the answers to one item are enough, by how far its annotators can be trusted."""

from collections.abc import Sequence

from labeling import crowd_findings
from labeling.models import Annotation, LabelClass, Round
from labeling.queries import gold

MEASURED_AS = 20.0  # gold answers that weigh as much as an accuracy measured against consensus


def sure_label(
    asking: Round, answers: Sequence[Annotation]
) -> tuple[LabelClass | None, float, bool]:
    """Return class, confidence, and whether nobody else need be asked.

    No class where the answers do not make one as probable as the round wants.
    """
    import numpy as np

    from mlcore.stopping import crowd_from_gold, standing

    classes = {
        row.pk: row for row in LabelClass.objects.filter(dataset=asking.dataset_id).order_by("pk")
    }
    place = {pk: index for index, pk in enumerate(classes)}
    right, given = _trusted(asking, answers)
    found = standing(
        np.arange(len(answers)),
        np.array([place[row.label.meant.pk] if row.label else -1 for row in answers]),
        crowd=crowd_from_gold(np.array(right), np.array(given), n_classes=max(2, len(classes))),
        least=asking.answers_least,
        most=asking.answers_wanted,
        confident=asking.confident,
    )
    is_sure = found.label >= 0 and found.confidence >= asking.confident
    label = list(classes.values())[found.label] if is_sure else None
    return label, found.confidence, found.enough


def _trusted(asking: Round, answers: Sequence[Annotation]) -> tuple[list[float], list[float]]:
    """Return right and given gold answers of who gave each answer, as far as is known.

    Who was measured against the consensus of the crowd counts as if by so many gold answers.
    """
    checked = gold.by_annotator(asking.dataset, among=[row.annotator_id for row in answers])
    found = crowd_findings.last(asking.dataset_id)
    right, given = [], []
    for row in answers:
        own = checked.get(row.annotator_id, gold.Checked(0, 0))
        measured = float("nan")
        if found and found.tells_who and row.annotator_id in found.people:
            measured = float(found.arrays["accuracy"][found.people[row.annotator_id], 0])
        is_measured = measured == measured  # not nan
        right.append(own.right + (MEASURED_AS * measured if is_measured else 0.0))
        given.append(own.answered + (MEASURED_AS if is_measured else 0.0))
    return right, given
