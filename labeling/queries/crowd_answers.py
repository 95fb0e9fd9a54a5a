"""Lists of answers: those that a number on the crowd's pages counts."""

from dataclasses import dataclass

import numpy as np
from django.db.models import Exists, OuterRef, Q, QuerySet

from labeling.crowd_findings import Findings
from labeling.models import Annotation, Annotator, Answer, Dataset, LabelClass
from labeling.queries.crowd import classes_of
from labeling.queries.gold import answers as measured
from labeling.queries.pages import ROWS_A_PAGE
from labeling.queries.worst_answers import worst_first


@dataclass(frozen=True)
class AnswersWanted:
    """Which answers a list shows; every part may be missing."""

    annotator: Annotator | None = None
    said: LabelClass | None = None
    beside: LabelClass | None = None
    consensus: LabelClass | None = None
    answer: str = ""
    round: int | None = None
    gold: bool = False
    worst: str = ""
    page: int = 1


@dataclass(frozen=True)
class ListedAnswer:
    """An answer beside what the crowd settles on."""

    given: Annotation
    settled: str
    is_other: bool


@dataclass(frozen=True)
class Answers:
    """A page of a list of answers."""

    rows: list[ListedAnswer]
    total: int
    page: int

    @property
    def has_next(self) -> bool:
        return self.page * ROWS_A_PAGE < self.total


def answers_listed(dataset: Dataset, wanted: AnswersWanted, found: Findings | None) -> Answers:
    """Return a page of the answers wanted: newest first, or worst by a measure."""
    rows = Annotation.objects.filter(round__dataset=dataset, withdrawn_at__isnull=True)
    shown = Q(answer=wanted.answer) if wanted.answer else ~Q(answer=Answer.SKIP)
    rows = rows.filter(shown)
    if wanted.annotator:
        rows = rows.filter(annotator=wanted.annotator)
    if wanted.said and wanted.beside:
        rows = _of_both(rows, wanted.said, wanted.beside)
    elif wanted.said:
        rows = rows.filter(label=wanted.said)
    if wanted.gold:
        rows = rows.filter(pk__in=measured(dataset).values("pk"))
    if wanted.round:
        rows = rows.filter(round=wanted.round)
    if wanted.worst:
        return _worst(dataset, rows, wanted, found)
    start, end = (wanted.page - 1) * ROWS_A_PAGE, wanted.page * ROWS_A_PAGE
    rows = rows.order_by("-pk")
    if wanted.consensus and found:
        named = rows.filter(label__isnull=False).values_list("pk", "item_id")
        pairs = np.array(list(named), np.int64).reshape(-1, 2)
        ids = pairs[found.labels_of(pairs[:, 1]) == wanted.consensus.pk, 0]
        total, page = len(ids), rows.filter(pk__in=ids[start:end].tolist())
    else:
        total, page = rows.count(), rows[start:end]
    listed = list(_with_parts(page))
    return Answers(_beside_consensus(dataset, listed, found), total, wanted.page)


def _worst(
    dataset: Dataset, rows: QuerySet[Annotation], wanted: AnswersWanted, found: Findings | None
) -> Answers:
    ids = worst_first(dataset, rows, wanted.worst)
    there = _with_parts(rows).in_bulk(
        ids[(wanted.page - 1) * ROWS_A_PAGE : wanted.page * ROWS_A_PAGE]
    )
    listed = [there[pk] for pk in ids if pk in there]
    return Answers(_beside_consensus(dataset, listed, found), len(ids), wanted.page)


def _with_parts(rows: QuerySet[Annotation]) -> QuerySet[Annotation]:
    return rows.select_related("label", "asked", "round", "annotator__user", "item__content")


def _of_both(
    rows: QuerySet[Annotation], first: LabelClass, second: LabelClass
) -> QuerySet[Annotation]:
    """Return the answers naming one of two classes, of items to which a round got both."""
    same = rows.filter(round=OuterRef("round"), item=OuterRef("item")).order_by()
    both = rows.filter(Exists(same.filter(label=first)), Exists(same.filter(label=second)))
    return both.filter(label__in=(first, second))


def _beside_consensus(
    dataset: Dataset, listed: list[Annotation], found: Findings | None
) -> list[ListedAnswer]:
    names = {c.pk: c.name for c in classes_of(dataset)}
    items = np.array([row.item_id for row in listed], np.int64)
    agreed = found.labels_of(items).tolist() if found else [0] * len(listed)
    return [
        ListedAnswer(row, names.get(label, ""), bool(label and row.label_id != label))
        for row, label in zip(listed, agreed)
    ]
