"""Answers that people gave elsewhere: outside annotators, one round, and what they agree on."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from django.db import transaction
from django.utils import timezone

from labeling.models import (
    Annotation,
    Annotator,
    Answer,
    Dataset,
    Item,
    LabelClass,
    LabelSource,
    Media,
    Round,
    RoundItem,
    RoundItemState,
    RoundKind,
)
from labeling.queries.settling import IMPORTED
from labeling.services import jobs, labels
from labeling.services.annotations import LONGEST_SECONDS
from labeling.services.intake.naming import BY_NAME, BY_TEXT, Found, ItemsNamed
from labeling.services.intake.tables import Row, Table, guessed_of, read_table
from labeling.services.settling import LEAST_SURE, consensus_of, reason_for

COLUMN_NAMES = {
    "text": "text",  # of a dataset of texts; tells the item where no key does
    "item": "item item_id key file file_name filename path image audio clip task task_id id",
    "annotator": "annotator annotator_id worker worker_id user user_id rater rater_id performer",
    "answer": "answer label class category response value judgement",
    "seconds": "seconds seconds_taken time_seconds duration_seconds worktimeinseconds lead_time",
}
MAY_LACK = ("text", "seconds")  # of the roles: the answers count without
ANSWERS_A_TRANSACTION = 200
CLASSES_NAMED = 10  # where an answer names none of them
MOST_PROBLEMS_KEPT = 1_000  # in the job's result; all are counted
WITHOUT_CLASS = {
    "unsure": Answer.UNSURE,
    "unusable": Answer.UNUSABLE,
    "skip": Answer.SKIP,
    "skipped": Answer.SKIP,
}


@dataclass(frozen=True)
class Said:
    """One line that can be used."""

    item_id: int
    annotator: str
    answer: str
    label: LabelClass | None
    seconds: float | None = field(default=None, compare=False)
    told_by: str = field(default="", compare=False)  # what told the item

    @property
    def label_id(self) -> int | None:
        return self.label.pk if self.label else None


@dataclass
class Heard:
    """All lines of a table: usable ones by who and what, and those that are not, with lines."""

    said: dict[tuple[int, str], Said] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    by_name: int = 0  # lines whose item was told by its file name alone
    by_text: int = 0  # lines whose item was told by its text alone
    untimed: int = 0  # lines whose time is no number of seconds


def import_answers(work: jobs.Work) -> dict[str, Any]:
    """Carry out the import of answers that a job names; repeating it changes nothing."""
    dataset = work.job.dataset
    assert dataset is not None
    path = Path(work.options["path"])
    try:
        table = read_table(path.name, path.read_bytes())
    except OSError as error:
        raise jobs.Refused(f"{path} cannot be read ({error.strerror}).") from error
    heard = _hear(dataset, table, _columns(table, work.options.get("columns") or {}, dataset))
    if heard.problems and not heard.said:
        line, reason = heard.problems[0]["line"], heard.problems[0]["reason"]
        raise jobs.Refused(
            f"{table.name}: none of its {len(heard.problems)} answers can be used. Line {line}:"
            f" {reason} Is another column meant? Name it with --column ROLE=COLUMN."
        )
    asking = _round_of(dataset)
    added = _keep(heard, asking, work)
    timed_now = _add_seconds(heard, asking)
    settled = _settle(asking, work)
    return {
        "answers": added,
        "unchanged": len(heard.said) - added - timed_now,
        "timed_now": timed_now,
        "rejected": len(heard.problems),
        "settled": settled,
        "guessed": guessed_of([table]),
        "by_name": heard.by_name,
        "by_text": heard.by_text,
        "timed": sum(said.seconds is not None for said in heard.said.values()),
        "untimed": heard.untimed,
        "disputed": asking.round_items.filter(state=RoundItemState.DISPUTED).count(),
        "round": asking.pk,
        "problems": heard.problems[:MOST_PROBLEMS_KEPT],
    }


def _columns(table: Table, wanted: Mapping[str, str], dataset: Dataset) -> dict[str, str]:
    unknown = set(wanted) - set(COLUMN_NAMES)
    if unknown:
        raise jobs.Refused(
            f"{', '.join(unknown)}: a column is for {', '.join(COLUMN_NAMES)}, as in"
            " --column annotator=worker."
        )
    if "text" in wanted and dataset.media != Media.TEXT:
        raise jobs.Refused("This is no dataset of texts: name its items in a column `item`.")
    plain = {name.casefold().replace(" ", "_"): name for name in reversed(table.columns)}
    found = {}
    for role, names in COLUMN_NAMES.items():
        if role == "text" and dataset.media != Media.TEXT:
            continue
        may_lack = role in MAY_LACK or (role == "item" and "text" in found)
        choices = [wanted[role].casefold().replace(" ", "_")] if role in wanted else names.split()
        column = next((plain[name] for name in choices if name in plain), None)
        if column is None and may_lack and role not in wanted:
            continue
        if column is None:
            there = ", ".join(table.columns[:30])
            raise jobs.Refused(
                f"{table.name}: no column for the {role}. It has: {there}. "
                f"Name it with --column {role}=COLUMN."
            )
        found[role] = column
    return found


def _hear(dataset: Dataset, table: Table, columns: Mapping[str, str]) -> Heard:
    heard = Heard()
    lines: dict[tuple[int, str], int] = {}
    for line, (code, reason) in table.problems:
        heard.problems.append({"line": line, "code": code, "reason": reason})
    items = ItemsNamed(dataset, table, columns)
    classes = {c.name: c for c in dataset.classes.all()}
    classes = {c.name.casefold(): c for c in classes.values()} | classes
    for row in table.rows:
        said = _said(row, columns, items, classes)
        problem = said if isinstance(said, tuple) else None
        if isinstance(said, Said):
            place = (said.item_id, said.annotator)
            heard.untimed += said.seconds is None and bool(
                row.cells.get(columns.get("seconds", ""))
            )
            heard.by_name += said.told_by == BY_NAME
            heard.by_text += said.told_by == BY_TEXT
            line = lines.setdefault(place, row.line)
            if heard.said.setdefault(place, said) != said:
                problem = (
                    "answered_twice",
                    f"{said.annotator} gave another answer to this item in line {line}: that one"
                    " counts. Keep the line that is meant.",
                )
        if problem:
            code, reason = problem
            heard.problems.append({"line": row.line, "code": code, "reason": reason})
    return heard


def _said(
    row: Row,
    columns: Mapping[str, str],
    items: ItemsNamed,
    classes: Mapping[str, LabelClass],
) -> Said | tuple[str, str]:
    cells = {role: row.cells.get(column, "") for role, column in columns.items()}
    needed = {
        "item" if "item" in columns else "text": cells.get("item") or cells.get("text"),
        "annotator": cells["annotator"],
        "answer": cells["answer"],
    }
    missing = ", ".join(role for role, cell in needed.items() if not cell)
    if missing:
        return ("bad_row", f"There is no {missing} here: fill the cell, or leave the line out.")
    item = items.find(cells)
    if not isinstance(item, Found):
        return item
    label = classes.get(cells["answer"]) or classes.get(cells["answer"].casefold())
    without = WITHOUT_CLASS.get(cells["answer"].casefold())
    if label is None and without is None:
        return ("unknown_class", _no_class(cells["answer"], [c.name for c in classes.values()]))
    answer = Answer.CLASS if label else without
    seconds = _seconds(cells.get("seconds", ""))
    return Said(item.pk, cells["annotator"][:150], str(answer), label, seconds, item.how)


def _seconds(cell: str) -> float | None:
    """Return the time that an answer took; None where the cell holds no such number."""
    try:
        seconds = float(cell)
    except ValueError:
        return None
    return min(seconds, LONGEST_SECONDS) if 0 <= seconds < float("inf") else None


def _no_class(answer: str, names: Sequence[str]) -> str:
    known = ", ".join(list(dict.fromkeys(names))[:CLASSES_NAMED]) or "none so far"
    return (
        f"There is no class {answer[:200]!r}: add it in Settings, or name one that is there"
        f" ({known}). Without a class: {', '.join(WITHOUT_CLASS)}."
    )


@transaction.atomic
def _round_of(dataset: Dataset) -> Round:
    """Return the one round that holds all imported answers of a dataset."""
    there = Round.objects.filter(dataset=dataset, purpose=IMPORTED).first()
    return there or Round.objects.create(
        dataset=dataset,
        name="Imported answers",
        kind=RoundKind.CLASSIFY,
        purpose=IMPORTED,
        closed_at=timezone.now(),
    )


def _keep(heard: Heard, asking: Round, work: jobs.Work) -> int:
    names = sorted({said.annotator for said in heard.said.values()})
    dataset = asking.dataset
    Annotator.objects.bulk_create(
        [Annotator(dataset=dataset, name=name) for name in names], ignore_conflicts=True
    )
    outside = Annotator.objects.filter(dataset=dataset, user__isnull=True)
    annotators = {annotator.name: annotator for annotator in outside}
    there = set(asking.annotations.values_list("item_id", "annotator__name"))
    waiting = [said for place, said in heard.said.items() if place not in there]
    for done, batch in _batches(waiting):
        work.progress(done, len(waiting), message="Importing answers")
        work.check()
        with transaction.atomic():
            work.keep()
            _keep_batch(batch, asking, annotators)
    work.progress(len(waiting), len(waiting), now=True)
    return len(waiting)


def _batches(said: Sequence[Said]) -> Iterator[tuple[int, Sequence[Said]]]:
    for start in range(0, len(said), ANSWERS_A_TRANSACTION):
        yield start, said[start : start + ANSWERS_A_TRANSACTION]


def _keep_batch(batch: Sequence[Said], asking: Round, annotators: Mapping[str, Annotator]) -> None:
    """Save answers under ids made of what they are, so that a repetition finds them there."""
    Annotation.objects.bulk_create(
        [
            Annotation(
                client_id=uuid.uuid5(
                    uuid.NAMESPACE_URL, f"winnow:{asking.pk}:{said.item_id}:{said.annotator}"
                ),
                round=asking,
                item_id=said.item_id,
                annotator=annotators[said.annotator],
                answer=said.answer,
                label=said.label,
                seconds=said.seconds,
            )
            for said in batch
        ],
        ignore_conflicts=True,
    )


def _add_seconds(heard: Heard, asking: Round) -> int:
    """Keep the seconds of answers that were there without; returns how many that were.

    Of the same answer alone: the time of another one tells nothing about it.
    """
    there = asking.annotations.filter(seconds__isnull=True, withdrawn_at__isnull=True)
    timed = []
    for row in there.select_related("annotator"):
        said = heard.said.get((row.item_id, row.annotator.name))
        if (
            said
            and said.seconds is not None
            and (said.answer, said.label_id)
            == (
                row.answer,
                row.label_id,
            )
        ):
            row.seconds = said.seconds
            timed.append(row)
    return Annotation.objects.bulk_update(timed, ["seconds"], batch_size=ANSWERS_A_TRANSACTION)


def _settle(asking: Round, work: jobs.Work) -> int:
    """Give the items without a label what their answers agree on; note every item's state."""
    work.progress(message="Looking for agreement", now=True)
    answers = list(
        asking.annotations.filter(withdrawn_at__isnull=True)
        .exclude(answer=Answer.SKIP)  # no answer, so that it makes no dispute and is not wanted
        .values_list("item_id", "annotator_id", "label_id")
    )
    agreed, method = _agreed([(i, a, label) for i, a, label in answers if label])
    _place_items(asking, [item for item, _, _ in answers], agreed)
    classes = LabelClass.objects.in_bulk({label for label, _ in agreed.values()})
    bare = set(
        Item.objects.filter(dataset=asking.dataset, label__isnull=True).values_list("pk", flat=True)
    )
    chosen = sorted(pk for pk in agreed if pk in bare)
    count = 0
    for start in range(0, len(chosen), ANSWERS_A_TRANSACTION // 2):
        work.check()
        batch = chosen[start : start + ANSWERS_A_TRANSACTION // 2]
        count += labels.set_labels(
            labels={pk: classes[agreed[pk][0]] for pk in batch},
            source=LabelSource.CONSENSUS,
            reason=reason_for(asking, method),
            confidence={pk: agreed[pk][1] for pk in batch},
        )
    return count


def _agreed(
    answers: Sequence[tuple[int, int, int]],
) -> tuple[dict[int, tuple[int, float]], str]:
    """Return class and confidence of each item (by id) that its answers settle, and the method."""
    if not answers:
        return {}, "majority"
    columns = [np.unique(column, return_inverse=True) for column in zip(*answers)]
    (items, item), (_people, person), (classes, answer) = columns
    found = consensus_of(item, person, answer, n_classes=len(classes))
    agreed = {
        int(pk): (int(classes[label]), float(confidence))
        for pk, label, confidence in zip(items, found.label, found.confidence)
        if label >= 0 and confidence >= LEAST_SURE
    }
    return agreed, found.method


def _place_items(
    asking: Round, answered: Sequence[int], agreed: Mapping[int, tuple[int, float]]
) -> None:
    decided = asking.round_items.filter(
        state=RoundItemState.SETTLED, item__label_source=LabelSource.REVIEW
    )
    settled = set(agreed).union(decided.values_list("item_id", flat=True))
    counted: dict[int, int] = {}
    for pk in answered:
        counted[pk] = counted.get(pk, 0) + 1
    rows = [
        RoundItem(
            round=asking,
            item_id=pk,
            position=position,
            wanted=count,
            taken=count,
            state=RoundItemState.SETTLED if pk in settled else RoundItemState.DISPUTED,
        )
        for position, (pk, count) in enumerate(sorted(counted.items()))
    ]
    for start in range(0, len(rows), ANSWERS_A_TRANSACTION):
        piece = rows[start : start + ANSWERS_A_TRANSACTION]
        with transaction.atomic():  # again after an import that was cut off
            asking.round_items.filter(item__in=[row.item_id for row in piece]).delete()
            RoundItem.objects.bulk_create(piece)
