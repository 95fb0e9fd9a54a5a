"""What lies between two versions: items, labels, splits, and who did it when and why."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from labeling.models import (
    Annotation,
    Answer,
    Item,
    LabelChange,
    LabelSource,
    Outcome,
    Split,
    UploadEntry,
    Version,
)
from labeling.queries.versions import KINDS, are_of, counts_between, lines_between, marks_of
from labeling.services.versions import columns_of
from labeling.version_columns import NONE, Held
from quality.models import Action, Decision

TIMES_KEPT = 4  # between two versions; 2 MB each where 20,000 items were decided about
CHANGES_A_READ = 5_000
LABEL_KINDS = {"relabelled", "labelled", "unlabelled"}


@dataclass(frozen=True)
class Difference:
    """How the later version differs from the earlier one, in items."""

    relabelled: int
    labelled: int
    unlabelled: int
    added: int
    left_out: int
    moved: int
    test_labels: int


def difference_between(old: Version, new: Version) -> Difference:
    """Count what differs; test_labels counts the earlier version's test items."""
    counts, lines = counts_between(old, new).kinds, lines_between(old, new)
    relabelled = lines.was[are_of(LABEL_KINDS, lines)]
    in_test = columns_of(old).is_in(Split.TEST)[relabelled]
    counts["test_labels"] = int(in_test.sum())
    return Difference(**{field.name: counts.get(field.name, 0) for field in fields(Difference)})


def work_between(old: Version, new: Version) -> dict[str, Any]:
    """Return what people did after the earlier version was frozen and before the later one."""
    taken = Decision.objects.filter(
        dataset=old.dataset, at__gt=old.created_at, at__lte=new.created_at
    )
    decisions = taken.exclude(Q(action=Action.UNDO) | Q(undone_by__at__lte=new.created_at))
    spent = taken.aggregate(total=Sum("seconds"))["total"] or 0.0  # undone work took time too
    answers = Annotation.objects.filter(
        round__dataset=old.dataset,
        withdrawn_at__isnull=True,
        created_at__gt=old.created_at,
        created_at__lte=new.created_at,
    ).aggregate(
        n=Count("pk"),
        seconds=Sum("seconds"),
        paid=Count("pk", filter=Q(round__price__isnull=False) & ~Q(answer=Answer.SKIP)),
        cost=Sum("round__price", filter=~Q(answer=Answer.SKIP)),
    )
    by_action = [
        {
            "action": row["action"],
            "words": Action(row["action"]).label,
            "n": row["n"],
            "seconds": row["total"] or 0.0,
        }
        for row in _tallied(decisions, "action")
    ]
    standing = {row["by__username"]: row["n"] for row in _tallied(decisions, "by__username")}
    people = [
        {
            "name": row["by__username"] or str(_("a command")),
            "n": standing.get(row["by__username"], 0),
            "seconds": row["total"] or 0.0,
        }
        for row in _tallied(taken, "by__username")
    ]
    changes = LabelChange.objects.filter(
        item__dataset=old.dataset, at__gt=old.created_at, at__lte=new.created_at
    )
    changed_by = _changed_by(changes)
    return {
        **asdict(difference_between(old, new)),
        "decisions": sum(row["n"] for row in by_action),
        "by_action": by_action,
        "undone_seconds": max(0.0, round(spent - sum(row["seconds"] for row in by_action), 3)),
        "people": sorted(
            (row for row in people if row["n"] or row["seconds"]), key=lambda row: -row["n"]
        ),
        "label_changes": sum(row["n"] for row in changed_by),
        "changed_by": changed_by,
        "answers": answers["n"],
        "answer_seconds": answers["seconds"] or 0.0,
        "seconds": spent + (answers["seconds"] or 0.0),
        "paid_answers": answers["paid"],
        "cost": float(answers["cost"] or 0),
    }


def _tallied(decisions: QuerySet[Decision], column: str) -> list[dict[str, Any]]:
    rows = decisions.values(column).annotate(n=Count("pk"), total=Sum("seconds"))
    return [dict(row) for row in rows.order_by("-n")]


def _unnamed(source: str) -> str:
    is_of_answers = source == LabelSource.CONSENSUS
    return str(_("the answers of people") if is_of_answers else _("a command"))


def _changed_by(changes: QuerySet[LabelChange]) -> list[dict[str, Any]]:
    standing = chain.from_iterable(_standing(changes, "source", "by__username").values())
    counted = Counter(row["by__username"] or _unnamed(row["source"]) for row in standing)
    return [{"name": name, "n": n} for name, n in counted.most_common()]


def _standing(changes: QuerySet[LabelChange], *columns: str) -> dict[int, list[dict[str, Any]]]:
    """Return by item (id) what was made of its label and not put back as it was, oldest first."""
    found: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = changes.order_by("pk").values("item", "before", "after", *columns)
    for row in rows.iterator(chunk_size=CHANGES_A_READ):
        made = found[row["item"]]
        if made and _puts_back(row, made[-1]):
            made.pop()
        else:
            made.append(row)
    return found


def _puts_back(row: Mapping[str, Any], last: Mapping[str, Any]) -> bool:
    """Whether a change leads from what the last one made to what was before: an undo, mostly."""
    is_change: bool = row["before"] != row["after"]
    return is_change and (row["before"], row["after"]) == (last["after"], last["before"])


@dataclass(frozen=True)
class Explained:
    """A change with its item and the person, moment and reason that history keeps of it."""

    item: Item | None
    was: Held | None
    now: Held | None
    marks: list[str]
    by: str = ""
    at: datetime | None = None
    why: str = ""

    @property
    def kinds(self) -> list[str]:
        """What changed, as pages count it."""
        return [mark for mark in self.marks if mark in KINDS]

    @property
    def details(self) -> list[str]:
        """Names of what else differs than label, split and file."""
        return [str(DETAILS[mark]) for mark in self.marks if mark in DETAILS]


DETAILS = {
    "source": _("where the label is from"),
    "group": _("source"),
    "captured_at": _("date"),
    "metadata": _("metadata"),
}


def explained(old: Version, new: Version, *, kind: str, start: int, most: int) -> list[Explained]:
    """Tell `most` changes of a kind (empty: any), by key; of each who made it, when and why.

    As many queries for one as for many. Of an item that was withdrawn since, its tombstone tells.
    """
    before, after, lines = columns_of(old), columns_of(new), lines_between(old, new)
    of_kind = are_of([kind], lines) if kind else np.ones(len(lines.what), bool)
    shown = np.flatnonzero(of_kind)[start : start + most]
    rows = list(zip(*(column[shown].tolist() for column in vars(lines).values()), strict=True))
    pks = [int(before.items[was] if now == NONE else after.items[now]) for was, now, _what in rows]
    items = old.dataset.items.select_related("content", "label").in_bulk(pks)
    history = {
        "label": _label_history(items, old, new),
        "decided": _decided(items, old, new),
        "added": _brought(items, old, new),
    }
    return [
        Explained(
            item=items.get(pk),
            was=before.line(was),
            now=after.line(now),
            marks=marks_of(what),
            **_told(items.get(pk), marks_of(what), history),
        )
        for pk, (was, now, what) in zip(pks, rows, strict=True)
    ]


def _told(
    item: Item | None, marks: Collection[str], history: Mapping[str, Mapping[int, dict[str, Any]]]
) -> dict[str, Any]:
    if item is None:
        return {}
    if "added" in marks:
        order = ("added", "decided")
    elif LABEL_KINDS.intersection(marks):
        order = ("label", "decided")
    else:
        order = ("decided", "label")
    found = next((history[name][item.pk] for name in order if item.pk in history[name]), {})
    return {**found, "why": item.excluded} if "left_out" in marks and item.excluded else found


def _label_history(pks: Collection[int], old: Version, new: Version) -> dict[int, dict[str, Any]]:
    rows = LabelChange.objects.filter(item__in=pks, at__gt=old.created_at, at__lte=new.created_at)
    standing = _standing(rows, "source", "by__username", "at", "reason")
    return {
        item: {
            "by": made[-1]["by__username"] or _unnamed(made[-1]["source"]),
            "at": made[-1]["at"],
            "why": made[-1]["reason"],
        }
        for item, made in standing.items()
        if made
    }


def _decided(pks: Collection[int], old: Version, new: Version) -> dict[int, dict[str, Any]]:
    made = Decision.objects.filter(dataset=old.dataset_id)
    state = made.aggregate(n=Count("pk"), newest=Max("pk"))
    last = _last_decisions(
        old.dataset_id, old.created_at, new.created_at, (state["n"], state["newest"])
    )
    asked = {pk: last[pk] for pk in pks if pk in last}
    rows = made.filter(pk__in=set(asked.values())).values_list("pk", "action", "at", "by__username")
    told = {
        pk: {"by": by or "", "at": at, "why": str(Action(action).label)}
        for pk, action, at, by in rows
    }
    return {pk: told[decision] for pk, decision in asked.items() if decision in told}


@lru_cache(maxsize=TIMES_KEPT)
def _last_decisions(
    dataset: int, since: datetime, until: datetime, _made: tuple[int, int | None]
) -> dict[int, int]:
    """Return the last decision of a time about each item, both by their ids.

    Decisions name thousands of items, so this process keeps what they say until another one is
    made. They are append-only and an undo is another one, so their number and the newest tell.
    """
    taken = Decision.objects.filter(dataset=dataset, at__gt=since, at__lte=until)
    taken = taken.exclude(Q(action=Action.UNDO) | Q(undone_by__at__lte=until))
    found: dict[int, int] = {}
    for pk, after in taken.order_by("pk").values_list("pk", "after").iterator(chunk_size=500):
        found |= {state["item"]: pk for state in after if "item" in state}
    return found


def _brought(pks: Collection[int], old: Version, new: Version) -> dict[int, dict[str, Any]]:
    rows = UploadEntry.objects.filter(item__in=pks, outcome=Outcome.IMPORTED)
    return {
        row.item_id: {
            "by": row.upload.by.username if row.upload.by else "",
            "at": row.upload.created_at,
            "why": row.upload.name,
        }
        for row in rows.select_related("upload__by")
        if row.item_id and old.created_at < row.upload.created_at <= new.created_at
    }
