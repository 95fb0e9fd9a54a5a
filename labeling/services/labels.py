"""The one place that changes labels, splits and exclusion of items."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import takewhile

from django.db import transaction

from labeling.models import Item, LabelChange, LabelClass, LabelSource, User
from labeling.services.rows import insert_rows

ROWS_A_STATEMENT = 200
MOST_REASON = 200  # characters of the column
STANDS_AGAINST: dict[str, tuple[str, ...]] = {
    LabelSource.IMPORT: (LabelSource.CONSENSUS, LabelSource.REVIEW),
    LabelSource.CONSENSUS: (LabelSource.REVIEW,),
}


@transaction.atomic
def set_labels(
    *,
    labels: Mapping[int, LabelClass | None],
    source: LabelSource,
    by: User | None = None,
    reason: str = "",
    confidence: Mapping[int, float] | None = None,
) -> int:
    """Give items (by id) their labels and keep the history; returns how many changed.

    A label that an import brings never overwrites one that people gave, nor does what people
    agree on overwrite what a reviewer decided.
    """
    changed: list[tuple[Item, int | None]] = []
    items = Item.objects.select_for_update(of=("self",)).only("label", "label_source")
    for item in items.filter(pk__in=labels).order_by("pk"):
        label = labels[item.pk]
        if item.label_source in STANDS_AGAINST.get(source, ()):
            continue
        new_source = source if label else LabelSource.NONE
        if (item.label_id, item.label_source) == (label.pk if label else None, new_source):
            continue
        changed.append((item, item.label_id))
        item.label, item.label_source = label, new_source
    _write([item for item, _ in changed])
    insert_rows(
        [
            LabelChange(
                item_id=item.pk,
                before_id=before,
                after_id=item.label_id,
                source=item.label_source,
                confidence=(confidence or {}).get(item.pk),
                by=by,
                reason=reason[:MOST_REASON],
            )
            for item, before in changed
        ]
    )
    return len(changed)


def _write(items: Sequence[Item]) -> None:
    """Store the labels of items: one statement a label, far shorter than a case for each item."""
    groups: dict[tuple[int | None, str], list[int]] = defaultdict(list)
    for item in items:
        groups[item.label_id, item.label_source].append(item.pk)
    for (label, source), ids in groups.items():
        for start in range(0, len(ids), ROWS_A_STATEMENT):
            some = Item.objects.filter(pk__in=ids[start : start + ROWS_A_STATEMENT])
            some.update(label=label, label_source=source)


def begin_history(*, items: Iterable[Item], by: User | None = None, reason: str = "") -> None:
    """Write the first row of the history of items that were just made with a label."""
    insert_rows(
        [
            LabelChange(
                item_id=item.pk,
                after_id=item.label_id,
                source=item.label_source,
                by=by,
                reason=reason[:MOST_REASON],
            )
            for item in items
            if item.label_id
        ]
    )


def exclude_items(*, items: Iterable[int], reason: str) -> int:
    """Leave items (by id) out of every later version; an empty reason takes them back in.

    Whoever withdrew consent stays out, whatever is undone.
    """
    still_there = Item.objects.filter(pk__in=list(items), withdrawn_at__isnull=True)
    return still_there.update(excluded=reason[:MOST_REASON])


def move_items(*, items: Iterable[int], split: str) -> int:
    """Put items (by id) into a split."""
    return Item.objects.filter(pk__in=list(items)).update(split=split)


@transaction.atomic
def take_back_labels(
    *,
    items: Iterable[int],
    source: LabelSource,
    given_for: str,
    since: datetime | None = None,
    by: User | None = None,
    reason: str = "",
) -> int:
    """Undo what this source made of items (by id) last; returns how many changed.

    `given_for` begins the reasons of those changes: what another round said stays, as does what
    was there before `since`. Several in a row, where a consensus changed, are taken back together.
    """
    taken_back = []
    rows = Item.objects.select_for_update(of=("self",)).select_related("label")
    for item in rows.filter(pk__in=list(items)).order_by("pk"):
        changes = list(item.label_changes.select_related("before").order_by("-pk"))
        newer = takewhile(lambda row: since is None or row.at >= since, changes)
        own = list(takewhile(lambda row: _is_for(row, source, given_for), newer))
        if item.label_source != source or not own or own[0].after_id != item.label_id:
            continue
        last, earlier = own[-1], next(iter(changes[len(own) :]), None)
        before, item.label = item.label, last.before
        given = earlier.source if earlier else LabelSource.IMPORT
        item.label_source = given if item.label else LabelSource.NONE
        item.save(update_fields=["label", "label_source"])
        taken_back.append(
            LabelChange(
                item=item,
                before=before,
                after=item.label,
                source=item.label_source,
                by=by,
                reason=reason[:MOST_REASON],
            )
        )
    LabelChange.objects.bulk_create(taken_back, batch_size=ROWS_A_STATEMENT)
    return len(taken_back)


def _is_for(change: LabelChange, source: LabelSource, given_for: str) -> bool:
    return change.source == source and change.reason.startswith(given_for[:MOST_REASON])


def refine_confidence(*, changes: Mapping[int, tuple[float, str]]) -> None:
    """Note how sure one is by now, and how, of labels that stand (by id of their last change)."""
    groups: dict[tuple[float, str], list[int]] = defaultdict(list)
    for pk, found in changes.items():
        groups[found].append(pk)
    for (confidence, reason), ids in groups.items():
        for start in range(0, len(ids), ROWS_A_STATEMENT):
            some = LabelChange.objects.filter(pk__in=ids[start : start + ROWS_A_STATEMENT])
            some.update(confidence=confidence, reason=reason[:MOST_REASON])


@transaction.atomic
def restore_labels(
    *, labels: Mapping[int, tuple[int | None, str]], by: User | None = None, reason: str = ""
) -> int:
    """Give items (by id) back an earlier label (id of its class) and its source, as they were."""
    changes = []
    items = []
    for item in Item.objects.filter(pk__in=labels).order_by("pk"):
        label_id, source = labels[item.pk]
        if (item.label_id, item.label_source) == (label_id, source):
            continue
        changes.append(
            LabelChange(
                item_id=item.pk,
                before_id=item.label_id,
                after_id=label_id,
                source=source,
                by=by,
                reason=reason[:MOST_REASON],
            )
        )
        item.label_id, item.label_source = label_id, source
        items.append(item)
    _write(items)
    insert_rows(changes)
    return len(changes)
