"""What exports of people's work hold: rows in an order that does not change, read in pieces."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from django.db.models import Model, OuterRef, QuerySet, Subquery

from labeling.models import Annotation, Answer, Content, Dataset, Item, LabelChange, Media

ROWS_A_READ = 2_000
Row = TypeVar("Row", bound=Model)
Line = dict[str, Any]

ITEM_COLUMNS = (
    "key", "label", "split", "group", "captured_at", "label_source", "sha256", "metadata"
)  # fmt: skip
LABEL_COLUMNS = ("key", "label", "source", "confidence", "by", "at", "reason")
ANNOTATION_COLUMNS = (
    "item", "annotator", "answer", "kind", "asked", "reason", "seconds", "round",
    "guideline", "suggestion", "suggestion_shown", "is_gold", "outcome", "parked",
    "at", "withdrawn_at",
)  # fmt: skip
VERSION_COLUMNS = ("number", "digest", "items", "labelled", "at", "by", "note")


def in_pieces(rows: "QuerySet[Row, Any]") -> "Iterator[Any]":
    """Yield rows (as `values_list` with pk first) by pk, a few thousand a read.

    A cursor that stays open for as long as a slow client reads would hold the database.
    """
    last = 0
    while True:
        piece = list(rows.filter(pk__gt=last).order_by("pk")[:ROWS_A_READ])
        yield from piece
        if len(piece) < ROWS_A_READ:
            return
        last = piece[-1][0]


def item_columns(media: str) -> tuple[str, ...]:
    """Return the columns of exported items; texts come along, images and sound as files."""
    return (*ITEM_COLUMNS, "text") if media == Media.TEXT else ITEM_COLUMNS


def item_rows(lines: Iterable[Line], *, media: str) -> Iterator[Sequence[Any]]:
    """Yield a version's lines as rows."""
    for piece in pieces(lines):
        texts = _texts(piece) if media == Media.TEXT else {}
        for line in piece:
            row = [
                line["key"], line["label"], line["split"], line["group"], line["captured_at"],
                line["source"], line["sha256"], line["metadata"],
            ]  # fmt: skip
            yield [*row, texts.get(line["sha256"], "")] if media == Media.TEXT else row


def pieces(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """Cut lines into lists that one query can ask about."""
    walk = iter(lines)
    while piece := list(islice(walk, ROWS_A_READ // 4)):
        yield piece


def _texts(lines: Iterable[Line]) -> dict[str, str]:
    found = Content.objects.filter(pk__in=[line["sha256"] for line in lines])
    return dict(found.values_list("pk", "text"))


def types_of(lines: Iterable[Line]) -> dict[str, str]:
    """Return the real file type of each line's content, by sha256."""
    found = Content.objects.filter(pk__in=[line["sha256"] for line in lines])
    return dict(found.values_list("pk", "type"))


def text_of(sha256: str) -> bytes:
    """Return the bytes of a text; texts lie in their row, not in storage."""
    return Content.objects.values_list("text", flat=True).get(pk=sha256).encode()


def label_rows(dataset: Dataset) -> Iterator[Sequence[Any]]:
    """Yield the label that holds for each labelled item now, and how it came.

    Items whose person withdrew consent are left out, as from every other export of items.
    """
    last = LabelChange.objects.filter(item=OuterRef("pk")).order_by("-pk")
    columns = ("confidence", "by__username", "at", "reason")
    found = {f"last_{name}": Subquery(last.values(name)[:1]) for name in columns}
    rows = (
        Item.objects.filter(dataset=dataset, label__isnull=False, withdrawn_at__isnull=True)
        .annotate(**found)
        .values_list("pk", "key", "label__name", "label_source", *found)
    )
    for _, key, label, source, confidence, by, at, reason in in_pieces(rows):
        yield key, label, source, confidence, by, moment(at), reason


def annotation_rows(dataset: Dataset) -> Iterator[Sequence[Any]]:
    """Yield every answer, withdrawn ones included; `answer` is a class or what was said instead.

    The outcome says what it counts for now: counted, surplus, skipped or withdrawn (taken back,
    offered again, or a second answer of the same person). Gold answers measure who gave them.
    """
    rows = Annotation.objects.values_list(
        "pk", "item__key", "annotator__user__username", "annotator__name", "answer", "label__name",
        "asked__name", "reason", "seconds", "round__name", "guideline__number",
        "suggestion__name", "suggestion_shown", "is_gold", "is_surplus", "is_parked",
        "created_at", "withdrawn_at",
    )  # fmt: skip
    # Round by round: over all of them SQLite sorts every answer again for each piece.
    rounds = dataset.rounds.order_by("pk").values_list("pk", flat=True)
    for row in (row for asking in rounds for row in in_pieces(rows.filter(round=asking))):
        _, key, user, name, kind, label, *rest, is_surplus, is_parked, at, withdrawn = row
        outcome = _outcome(kind, is_surplus=is_surplus, is_withdrawn=withdrawn is not None)
        yield (
            *(key, user or name, label or kind, kind, *rest),
            *(outcome, is_parked, moment(at), moment(withdrawn)),
        )


def _outcome(answer: str, *, is_surplus: bool, is_withdrawn: bool) -> str:
    if is_withdrawn:
        return "withdrawn"
    if answer == Answer.SKIP:
        return "skipped"
    return "surplus" if is_surplus else "counted"


def version_rows(dataset: Dataset) -> Iterator[Sequence[Any]]:
    """Yield the dataset's versions, oldest first."""
    rows = dataset.versions.order_by("number").values_list(
        "number", "digest", "items", "labelled", "created_at", "created_by__username", "note"
    )
    for number, digest, items, labelled, at, by, note in rows:
        yield number, digest, items, labelled, moment(at), by, note


def moment(at: Any) -> str:
    """Return a moment as exports state it."""
    return at.isoformat() if at else ""
