"""What an import left to a person: other labels and metadata, other bytes, unknown classes."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from labeling.models import (
    Content,
    Item,
    LabelClass,
    LabelSource,
    Outcome,
    Split,
    Upload,
    UploadEntry,
    User,
)
from labeling.queries.uploads import BY_PEOPLE, IS_ELSEWHERE, UNKNOWN, for_another, names_unknown
from labeling.services import contents, datasets, jobs, labels
from labeling.services.intake import splitting
from labeling.services.intake.recording import classes_by_name, moment_of, note_applied, swapped

ROWS_A_TRANSACTION = 100


@dataclass(frozen=True)
class Applied:
    """How many items were changed, and how many of them have another label now."""

    items: int
    labels: int


def apply_differences(*, upload: Upload, by: User | None = None) -> Applied:
    """Take over what the upload says otherwise about items that are there.

    A label that people gave stays; what names a class that is not there waits for it. Splits that
    the upload names end a proposal: it follows new sources, and the first labels, only where
    nothing names a split.
    """
    waiting = _waiting(upload, Outcome.DIFFERENT, by)
    names_splits = waiting.filter(proposed__has_key="split").exists()
    names_sources = waiting.filter(proposed__has_key="group").exists()
    had_labels = upload.dataset.items.filter(label__isnull=False).exists()
    done = [_apply(upload, batch, by) for batch in _batches(waiting)]
    count = sum(one.items for one in done)
    if names_splits:
        splitting.give_way(upload=upload)
    elif names_sources:
        splitting.follow_sources(upload=upload)
    elif not had_labels and count:
        splitting.follow_labels(upload=upload)
    return Applied(count, sum(one.labels for one in done))


def replace_conflicts(*, upload: Upload, by: User | None = None) -> int:
    """Take the new bytes, label and metadata for keys that were there with other bytes."""
    waiting = _waiting(upload, Outcome.CONFLICT, by)
    return sum(_replace(upload, batch, by) for batch in _batches(waiting))


def add_copies(*, upload: Upload, by: User | None = None) -> int:
    """Add what is here under another key all the same; returns how many items came."""
    waiting = upload.entries.filter(IS_ELSEWHERE, item__isnull=False)
    return sum(_add(upload, batch, by) for batch in _batches(waiting))


@transaction.atomic
def add_classes(*, upload: Upload, names: Sequence[str], by: User | None = None) -> int:
    """Add classes that the upload names, and label their items; returns how many.

    None is made of a name that is out of use, or that differs from two in case alone: a lead
    settles that.
    """
    datasets.add_classes(dataset=upload.dataset, names=names)
    meant = classes_by_name(upload, names)
    named = names_unknown(upload).filter(proposed__label__in=list(meant))
    named = named.exclude(pk__in=for_another(upload, by).values("pk"))
    count = 0
    for batch in _batches(named):
        chosen = {e.item_id: meant[e.proposed["label"]] for e in batch if e.item_id}
        count += labels.set_labels(
            labels=chosen, source=LabelSource.IMPORT, by=by, reason=_reason(upload)
        )
        _metadata_follows(batch)
        for entry in batch:
            _settle(entry)
        UploadEntry.objects.bulk_update(batch, ["outcome", "code", "reason"])
    return count


@transaction.atomic
def merge_class(*, upload: Upload, old: int, new: int, by: User | None = None) -> int:
    """Give all items of one class the label of another that is meant as well; take it out of use.

    What it did is kept with the upload, so that `split_class` can take it back.
    """
    chosen = upload.dataset.classes.in_bulk([old, new])
    if len(chosen) < 2 or chosen[old].retired_at:
        return 0
    _leave_test_labels(upload, Q(label_id=old))
    reason = _merged(upload, old)
    pks = list(Item.objects.filter(label_id=old).values_list("pk", flat=True))
    count = 0
    for start in range(0, len(pks), ROWS_A_TRANSACTION):
        some = dict.fromkeys(pks[start : start + ROWS_A_TRANSACTION], chosen[new])
        count += labels.set_labels(labels=some, source=LabelSource.REVIEW, by=by, reason=reason)
    key = chosen[old].key
    datasets.retire_class(label_class=chosen[old], retired=True)
    done = {"old": old, "from": chosen[old].name, "to": chosen[new].name, "n": count, "key": key}
    upload.options["merged"] = [*upload.options.get("merged", []), done]
    upload.save(update_fields=["options"])
    return count


@transaction.atomic
def split_class(*, upload: Upload, old: int, by: User | None = None) -> int:
    """Undo `merge_class`; labels that were changed since stay as they are."""
    merged = upload.options.get("merged", [])
    done = next((row for row in merged if row["old"] == old), None)
    if done is None:
        return 0
    label = upload.dataset.classes.get(pk=old)
    _leave_test_labels(upload, Q(label_changes__reason=_merged(upload, old)))
    datasets.retire_class(label_class=label, retired=False)
    if not upload.dataset.classes.filter(key=done["key"]).exists():
        label.key = done["key"]
        label.save(update_fields=["key"])
    reason = _merged(upload, old)
    items = Item.objects.filter(dataset=upload.dataset, label_changes__reason=reason).distinct()
    upload.options["merged"] = [row for row in merged if row is not done]
    upload.save(update_fields=["options"])
    return labels.take_back_labels(
        items=items.values_list("pk", flat=True),
        source=LabelSource.REVIEW,
        given_for=reason,
        by=by,
        reason=f"{reason}: taken back",
    )


def _leave_test_labels(upload: Upload, which: Q) -> None:
    """Refuse to relabel test items where two have to agree."""
    in_test = upload.dataset.items.filter(which, split=Split.TEST)
    if upload.dataset.has_second_reviewer and in_test.exists():
        raise jobs.Refused(
            _("Test items would get another label, which nobody gives alone here. Merge classes in"
              " the settings, or relabel in Browse: there it waits for a second reviewer.")
        )  # fmt: skip


def _merged(upload: Upload, old: int) -> str:
    return f"class {old} merged after import {upload.pk}"


def _metadata_follows(entries: list[UploadEntry]) -> None:
    items = [entry.item for entry in entries if entry.item and "metadata" in entry.proposed]
    for entry in entries:
        if entry.item:
            _leave_out(entry.item, entry.proposed)
    Item.objects.bulk_update(items, ["metadata"])


def _settle(entry: UploadEntry) -> None:
    """Note that an entry has its label; nothing waits where that was all."""
    if entry.code == UNKNOWN:
        entry.code, entry.reason = "", ""
    if entry.outcome == Outcome.DIFFERENT and _parts(entry) == {"label"}:
        entry.outcome = Outcome.UPDATED


def _waits_for_class(entry: UploadEntry, known: Collection[str]) -> bool:
    """Whether all that an entry says is a class which is not there."""
    by_people = entry.item is not None and entry.item.label_source in BY_PEOPLE
    return _parts(entry) == {"label"} and entry.proposed["label"] not in known and not by_people


def _parts(entry: UploadEntry) -> set[str]:
    """Return what an entry would change of its item; what only leaves metadata goes along."""
    is_said = any(cell is not None for cell in entry.proposed.get("metadata", {}).values())
    goes_along = set() if is_said or "label" not in entry.proposed else {"metadata"}
    return set(entry.proposed) - {"before", "new"} - goes_along


def _reason(upload: Upload) -> str:
    return f"imported with {upload.name}"


def _waiting(upload: Upload, outcome: Outcome, by: User | None) -> QuerySet[UploadEntry]:
    """Return what this person may take over; what changes test items waits for another."""
    there = upload.entries.filter(outcome=outcome, item__isnull=False)
    return there.exclude(pk__in=for_another(upload, by).values("pk"))


def _batches(entries: QuerySet[UploadEntry]) -> Iterator[list[UploadEntry]]:
    pks = list(entries.order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(pks), ROWS_A_TRANSACTION):
        chosen = pks[start : start + ROWS_A_TRANSACTION]
        yield list(entries.filter(pk__in=chosen).select_related("item").order_by("pk"))


@transaction.atomic
def _apply(upload: Upload, entries: list[UploadEntry], by: User | None) -> Applied:
    known = classes_by_name(upload, [e.proposed.get("label", "") for e in entries])
    ready = [entry for entry in entries if not _waits_for_class(entry, known)]
    items = [entry.item for entry in ready if entry.item]
    for entry in ready:
        named = entry.proposed.get("label")
        if entry.item:
            _take_over(entry.item, entry.proposed)
            if named is None or named in known:
                _leave_out(entry.item, entry.proposed)
        if named in known:
            _settle(entry)
        entry.outcome = Outcome.UPDATED
    Item.objects.bulk_update(items, ["source_group", "captured_at", "metadata"])
    n_labels = _move_and_label(upload, ready, by)
    UploadEntry.objects.bulk_update(ready, ["outcome", "code", "reason"])
    if ready:
        note_applied(upload)
    return Applied(len(ready), n_labels)


@transaction.atomic
def _add(upload: Upload, entries: list[UploadEntry], by: User | None) -> int:
    """Make items of entries, in the split of their copy where nothing says another."""
    keys = [entry.proposed["new"]["key"] for entry in entries]
    taken = set(upload.dataset.items.filter(key__in=keys).values_list("key", flat=True))
    classes = classes_by_name(upload, [e.proposed["new"]["label"] or "" for e in entries])
    made: list[Item] = []
    for entry in entries:
        new = entry.proposed.pop("new")
        if entry.item is None or new["key"] in taken:  # another import brought it meanwhile
            continue
        taken.add(new["key"])
        entry.item = _copy(entry.item, new, classes.get(new["label"] or ""))
        made.append(entry.item)
        entry.outcome, entry.proposed = Outcome.IMPORTED, {}
    Item.objects.bulk_create(made)
    contents.files_changed(upload.dataset_id)
    labels.begin_history(items=made, by=by, reason=_reason(upload))
    for entry in entries:
        entry.item_id = entry.item.pk if entry.item else None
    UploadEntry.objects.bulk_update(entries, ["outcome", "proposed", "item"])
    return len(made)


def _copy(there: Item, new: dict[str, Any], label: LabelClass | None) -> Item:
    return Item(
        dataset_id=there.dataset_id,
        key=new["key"],
        content_id=there.content_id,
        split=new["split"] or there.split,
        source_group=new["group"],
        captured_at=moment_of(new["captured_at"]) or there.captured_at,
        metadata=new["metadata"],
        odd=new["odd"],
        label=label,
        label_source=LabelSource.IMPORT if label else LabelSource.NONE,
    )


@transaction.atomic
def _replace(upload: Upload, entries: list[UploadEntry], by: User | None) -> int:
    known = set(
        Content.objects.filter(
            sha256__in=[entry.proposed.get("content") for entry in entries]
        ).values_list("sha256", flat=True)
    )
    replaced = [entry for entry in entries if entry.proposed.get("content") in known]
    items = [entry.item for entry in replaced if entry.item]
    for entry in replaced:
        if entry.item:
            entry.proposed |= swapped(entry.item, entry.proposed["content"])
            entry.item.content_id = entry.proposed["content"]
            entry.item.odd = entry.proposed.get("odd", [])
            _take_over(entry.item, entry.proposed)
            _leave_out(entry.item, entry.proposed)
        entry.outcome = Outcome.REPLACED
    Item.objects.bulk_update(items, ["content", "odd", "source_group", "captured_at", "metadata"])
    contents.files_changed(upload.dataset_id)
    _move_and_label(upload, replaced, by)
    UploadEntry.objects.bulk_update(replaced, ["outcome", "proposed"])
    note_applied(upload)
    return len(replaced)


def _take_over(item: Item, proposed: dict[str, Any]) -> None:
    if "group" in proposed:
        item.source_group = proposed["group"]
    if "captured_at" in proposed:
        item.captured_at = moment_of(proposed["captured_at"])
    if "metadata" in proposed:
        said = {n: cell for n, cell in proposed["metadata"].items() if cell is not None}
        item.metadata = {**item.metadata, **said}


def _leave_out(item: Item, proposed: dict[str, Any]) -> None:
    """Take columns that have become the label, or the like, out of an item's metadata."""
    gone = {name for name, cell in proposed.get("metadata", {}).items() if cell is None}
    item.metadata = {name: cell for name, cell in item.metadata.items() if name not in gone}


def _move_and_label(upload: Upload, entries: list[UploadEntry], by: User | None) -> int:
    """Give entries' items their labels and splits; returns how many have another label."""
    names = [e.proposed["label"] for e in entries if "label" in e.proposed]
    classes = classes_by_name(upload, names)
    chosen = {
        entry.item_id: classes[entry.proposed["label"]]
        for entry in entries
        if entry.item_id and entry.proposed.get("label") in classes
    }
    reason = _reason(upload)
    count = labels.set_labels(labels=chosen, source=LabelSource.IMPORT, by=by, reason=reason)
    splits: dict[str, list[int]] = {}
    for entry in entries:
        if entry.item_id and "split" in entry.proposed:
            splits.setdefault(entry.proposed["split"], []).append(entry.item_id)
    for split, pks in splits.items():
        labels.move_items(items=pks, split=split)
    return count
