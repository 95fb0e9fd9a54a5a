"""How people do who answer blind, beside the model: a round that gives no labels."""

from dataclasses import dataclass

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils.translation import gettext as _

from labeling.models import (
    Annotation,
    Answer,
    Dataset,
    Item,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
    Split,
)
from labeling.queries.success import Choice
from mlcore.shares import items_for_width
from mlcore.success import ACCURACY
from quality.queries.filters import Filter
from quality.queries.judge import Judge
from quality.queries.runs import newest_done
from quality.queries.success import Figure, figure_from

REACHES = (0.1, 0.05, 0.03)
"""To each side: what sizes of a sample are offered for."""
EXPECTED = 0.9  # accuracy, before any run: people who know the classes
MOST_NAMED = 200  # keys in an address


@dataclass(frozen=True)
class Size:
    """How many items give limits of about this reach."""

    reach: float
    n: int


@dataclass(frozen=True)
class BlindScore:
    """What people who saw neither label nor suggestion have by the labels of now.

    `figure` is the chosen metric, None where none was chosen; `left_out` are answers without a
    class. Items on which they and the label differ are at `url`.
    """

    asking: Round
    people: list[str]
    n: int
    accuracy: Figure
    figure: Figure | None
    left_out: int
    differ: int
    url: str


def askable(dataset: Dataset) -> QuerySet[Item]:
    """Labelled items that are no test items, which stay sealed, and whose class nobody was shown.

    That of examples stands in the guideline, that of check items was told to who answered.
    """
    there = Item.objects.filter(dataset=dataset, excluded="", label__isnull=False)
    there = there.filter(gold=None, examples=None)
    return there.exclude(split=Split.TEST)


def sizes(dataset: Dataset) -> list[Size]:
    """Return sample sizes by the limits they give, if people are as right as the newest run."""
    run = newest_done(dataset)
    expected = run.metrics["accuracy"]["value"] if run else EXPECTED
    return [Size(reach, items_for_width(expected, 2 * reach)) for reach in REACHES]


def blind_rounds(dataset: Dataset) -> QuerySet[Round]:
    """Rounds that ask what items are and give no labels, newest first."""
    asked = Round.objects.filter(dataset=dataset, kind=RoundKind.CLASSIFY, counts=False)
    return asked.order_by("-pk")


def blind_score(dataset: Dataset, choice: Choice | None) -> BlindScore | None:
    """Return the score of the newest blind round that is closed or answered in full."""
    left = RoundItem.objects.filter(round=OuterRef("pk"), state=RoundItemState.OPEN)
    waiting = left.filter(item__excluded="")  # nobody is asked about what was left out meanwhile
    done = blind_rounds(dataset).filter(Q(closed_at__isnull=False) | ~Exists(waiting))
    asking = done.first()
    if asking is None:
        return None
    answers = Annotation.objects.filter(
        round=asking, withdrawn_at=None, is_gold=False, item__label__isnull=False
    )
    answers = answers.exclude(answer=Answer.SKIP).exclude(item__split=Split.TEST)
    told = list(
        answers.filter(answer=Answer.CLASS)
        .order_by("pk")
        .values_list(
            "item__key",
            "item__source_group",
            "item__label__name",
            Coalesce("label__merged_into__name", "label__name"),
        )
    )
    if not told:
        return None
    differing = sorted({key for key, _group, given, said in told if given != said})
    named = Filter(keys=tuple(differing[:MOST_NAMED])).query()
    people = {str(row.annotator) for row in answers.select_related("annotator__user")}
    return BlindScore(
        asking=asking,
        people=sorted(people),
        n=len({row[0] for row in told}),
        accuracy=_measured(dataset, told, None),
        figure=_measured(dataset, told, choice) if choice else None,
        left_out=answers.count() - len(told),
        differ=len(differing),
        url=f"{reverse('quality:browse', args=[dataset.slug])}?{named}" if differing else "",
    )


def _measured(
    dataset: Dataset, told: list[tuple[str, str, str, str]], choice: Choice | None
) -> Figure:
    """Measure answers like predictions that are sure; items of one source are one group."""
    classes = list(dataset.classes.values_list("name", flat=True))
    place = {name: number for number, name in enumerate(classes)}
    groups = [f"group {group}" if group else f"item {key}" for key, group, _given, _said in told]
    judge = Judge(
        choice or Choice(ACCURACY, {}),
        classes,
        np.array([place[given] for _key, _group, given, _said in told]),
        np.unique(groups, return_inverse=True)[1],
    )
    sure = np.eye(len(classes))[[place[said] for _key, _group, _given, said in told]]
    return figure_from(judge.measured(sure), choice, title=_("People, blind"))
