"""From opened candidates to rows: contents, items, their labels and the report, in one go."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from django.db.models import Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from labeling.models import (
    Item,
    LabelClass,
    LabelSource,
    Outcome,
    Split,
    Upload,
    UploadEntry,
)
from labeling.queries.uploads import BY_PEOPLE
from labeling.services import labels
from labeling.services.contents import files_changed
from labeling.services.intake.measuring import Opened
from labeling.services.intake.reading import Candidate
from labeling.services.intake.tables import captured
from labeling.services.rows import insert_rows

MOST_REASON_CHARACTERS = 500
FOR_ANOTHER = (
    "A test item, which nobody changes alone here: its bytes are kept until another lead than who"
    " imported replaces them from this report."
)


@dataclass
class Ledger:
    """What one batch writes; nothing is saved before all of it is known."""

    upload: Upload
    classes: Mapping[str, LabelClass]
    replace: bool
    keys: Collection[str] = ()  # of the whole import: copies within it are added, and found later
    add_copies: bool = False
    elsewhere: dict[str, list[Item]] = field(default_factory=dict)  # by sha256, of other keys
    new: list[Item] = field(default_factory=list)
    replaced: list[Item] = field(default_factory=list)
    entries: list[UploadEntry] = field(default_factory=list)


def note_applied(upload: Upload) -> None:
    """Note that a person changed items by what the upload left to one; the caller's transaction.

    Labels and new items tell of themselves, splits, files and details do not.
    """
    Upload.objects.filter(pk=upload.pk).update(applied_at=timezone.now())


def classes_by_name(upload: Upload, names: Sequence[str]) -> dict[str, LabelClass]:
    """Return the class that each name means: the same name, else the only one that differs
    in case alone. A merged class means what it became."""
    in_use = Q(retired_at=None) | Q(merged_into__isnull=False, merged_into__retired_at=None)
    rows = upload.dataset.classes.filter(in_use).select_related("merged_into")
    exact = {row.name: row.meant for row in rows}
    folded: dict[str, set[LabelClass]] = {}
    for name, label in exact.items():
        folded.setdefault(name.casefold(), set()).add(label)
    meant = {}
    for name in names:
        alike = folded.get(name.strip().casefold(), set())
        if name in exact:
            meant[name] = exact[name]
        elif len(alike) == 1:
            (meant[name],) = alike
    return meant


def record(opened: Sequence[Opened], ledger: Ledger) -> None:
    """Save a batch. The caller holds the transaction; what is recorded is never done again."""
    dataset = ledger.upload.dataset
    contents = {o.content.sha256: o.content for o in opened if o.content}
    new_contents = [content for content in contents.values() if content._state.adding]
    insert_rows(new_contents, ignore_conflicts=True)
    keys = [o.candidate.key for o in opened if o.content or o.candidate.is_known]
    there = Item.objects.select_related("label").filter(dataset=dataset, key__in=keys)
    items = {item.key: item for item in there}
    if not ledger.add_copies:
        new = [o.content.sha256 for o in opened if o.content and o.candidate.key not in items]
        ledger.elsewhere = _elsewhere(new, ledger)
    for one in opened:
        _place(one, items, ledger)
    insert_rows(ledger.new)
    Item.objects.bulk_update(ledger.replaced, ["content", "odd"])
    if ledger.new or ledger.replaced:
        files_changed(dataset.pk)
    reason = f"imported with {ledger.upload.name}"
    labels.begin_history(items=ledger.new, by=ledger.upload.by, reason=reason)
    for entry in ledger.entries:
        if entry.item is not None:
            entry.item_id = entry.item.pk
    insert_rows(ledger.entries)


def _elsewhere(hashes: Sequence[str], ledger: Ledger) -> dict[str, list[Item]]:
    """Return the dataset's items with these bytes whose keys are not in the import itself."""
    found: dict[str, list[Item]] = {}
    there = Item.objects.select_related("label").filter(
        dataset=ledger.upload.dataset, content__in=hashes
    )
    for item in there.order_by("pk"):
        if item.key not in ledger.keys:
            found.setdefault(item.content_id, []).append(item)
    return found


def _place(one: Opened, items: dict[str, Item], ledger: Ledger) -> None:
    known = items.get(one.candidate.key) if one.candidate.is_known else None
    if known is not None:
        _compare(one, known, ledger)
        return
    if one.content is None:
        code, reason = one.problem or ("unreadable", "The file cannot be read.")
        _enter(one, ledger, Outcome.REJECTED, notes=[(code, reason)])
        return
    item = items.get(one.candidate.key)
    moved = _under_another_folder(one, ledger) if item is None else None
    if moved:
        _place_elsewhere(one, moved, ledger)
    elif item is None:
        items[one.candidate.key] = item = _new_item(one, ledger)
        ledger.new.append(item)
        proposed, note = _unknown_class(one.candidate, ledger)
        _enter(one, ledger, Outcome.IMPORTED, item=item, proposed=proposed, notes=note)
    elif item.content_id != one.content.sha256:
        _place_other_bytes(one, item, ledger)
    else:
        _compare(one, item, ledger)


def _compare(one: Opened, item: Item, ledger: Ledger) -> None:
    proposed, note = differences(one.candidate, item, ledger.classes)
    outcome = Outcome.DIFFERENT if proposed else Outcome.UNCHANGED
    _enter(one, ledger, outcome, item=item, proposed=proposed, notes=note)


def _place_other_bytes(one: Opened, item: Item, ledger: Ledger) -> None:
    proposed, note = differences(one.candidate, item, ledger.classes)
    assert one.content is not None
    is_measured = ledger.upload.dataset.has_second_reviewer and item.split == Split.TEST
    if ledger.replace and not is_measured:
        proposed |= swapped(item, one.content.sha256)
        item.content, item.odd = one.content, one.odd
        ledger.replaced.append(item)
        _enter(one, ledger, Outcome.REPLACED, item=item, proposed=proposed, notes=note)
        return
    proposed |= {"content": one.content.sha256, "odd": one.odd}
    words = "This key is there already with other bytes; they are kept until you replace them."
    conflict = [("test_item", FOR_ANOTHER) if is_measured else ("other_bytes", words), *note]
    _enter(one, ledger, Outcome.CONFLICT, item=item, proposed=proposed, notes=conflict)


def swapped(item: Item, sha256: str) -> dict[str, Any]:
    """Return what an entry keeps of bytes that it replaces, so that it can be taken back."""
    return {"content": sha256, "was": {"content": item.content_id, "odd": item.odd}}


def _under_another_folder(one: Opened, ledger: Ledger) -> Item | None:
    """Return the item that this file is: same bytes, same name (but the ending), no other split.

    Another name, or another split, makes it a copy or a leak: the checks must see those.
    """
    assert one.content is not None
    name, split = PurePosixPath(one.candidate.key).stem, one.candidate.split
    there = ledger.elsewhere.get(one.content.sha256, ())
    same = (item for item in there if PurePosixPath(item.key).stem == name)
    return next((item for item in same if split in ("", None, item.split)), None)


def _place_elsewhere(one: Opened, item: Item, ledger: Ledger) -> None:
    """Match a new key to the item that has its bytes; what it would be is kept for a lead."""
    proposed, notes = differences(one.candidate, item, ledger.classes)
    outcome = Outcome.DIFFERENT if proposed else Outcome.PRESENT
    candidate = one.candidate
    as_new = {
        "key": candidate.key,
        "label": candidate.label,
        "split": candidate.split,
        "group": candidate.group,
        "captured_at": candidate.captured_at.isoformat() if candidate.captured_at else None,
        "metadata": _said(candidate),
        "odd": one.odd,
    }
    words = f"The same bytes are here already as {item.key}; not added once more."
    _enter(
        one,
        ledger,
        outcome,
        item=item,
        proposed={**proposed, "new": as_new},
        notes=[("other_key", words), *notes],
    )


def _said(candidate: Candidate) -> dict[str, Any]:
    return {name: cell for name, cell in candidate.metadata.items() if cell is not None}


def _new_item(one: Opened, ledger: Ledger) -> Item:
    candidate, content = one.candidate, one.content
    assert content is not None
    label = ledger.classes.get(candidate.label or "")
    return Item(
        dataset_id=ledger.upload.dataset_id,
        key=candidate.key,
        content_id=content.sha256,
        split=candidate.split or Split.NONE,
        source_group=candidate.group,
        captured_at=candidate.captured_at or captured(str(content.facts.get("captured_at", ""))),
        metadata=_said(candidate),
        odd=one.odd,
        label_id=label.pk if label else None,
        label_source=LabelSource.IMPORT if label else LabelSource.NONE,
    )


def _unknown_class(
    candidate: Candidate, ledger: Ledger
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    if not candidate.label or candidate.label in ledger.classes:
        return {}, []
    words = f"There is no class {candidate.label!r}; imported without a label."
    return {"label": candidate.label}, [("unknown_class", words)]


def differences(
    candidate: Candidate, item: Item, classes: Mapping[str, LabelClass]
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return what an import says otherwise than the item; what it leaves out is no difference."""
    proposed: dict[str, Any] = {}
    notes: list[tuple[str, str]] = []
    if candidate.label:
        label = classes.get(candidate.label)
        name = label.name if label else candidate.label
        is_same = label is not None and label.pk == item.label_id
        if not is_same and item.label_source in BY_PEOPLE:
            words = f"People gave it the label {item.label}; {name!r} is not applied."
            notes.append(("label_by_people", words))
        elif not is_same:
            proposed["label"] = name
        if label is None and "label" in proposed:
            notes.append(("unknown_class", f"There is no class {name!r}."))
    if candidate.split and candidate.split != item.split:
        proposed["split"] = candidate.split
    if candidate.group and candidate.group != item.source_group:
        proposed["group"] = candidate.group
    if candidate.captured_at and candidate.captured_at != item.captured_at:
        proposed["captured_at"] = candidate.captured_at.isoformat()
    changed = {k: v for k, v in candidate.metadata.items() if item.metadata.get(k) != v}
    if changed:
        proposed["metadata"] = changed
    if proposed:
        proposed["before"] = _before(item, proposed)
    return proposed, notes


def _before(item: Item, proposed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the item says now, for the page that shows both."""
    now = {
        "label": item.label.name if item.label else None,
        "split": item.split,
        "group": item.source_group,
        "captured_at": item.captured_at.isoformat() if item.captured_at else None,
        "metadata": {k: item.metadata.get(k) for k in proposed.get("metadata", {})},
    }
    return {name: now[name] for name in proposed}


def moment_of(text: str | None) -> datetime | None:
    """Return the moment that a proposal holds as text."""
    return parse_datetime(text) if text else None


def _enter(
    one: Opened,
    ledger: Ledger,
    outcome: Outcome,
    *,
    item: Item | None = None,
    proposed: Mapping[str, Any] | None = None,
    notes: Sequence[tuple[str, str]] = (),
) -> None:
    all_notes = [*notes, *map(tuple, one.odd), *one.candidate.notes]
    ledger.entries.append(
        UploadEntry(
            upload_id=ledger.upload.pk,
            name=one.candidate.name,
            line=one.candidate.line,
            outcome=outcome,
            code=all_notes[0][0] if all_notes else "",
            reason=" ".join(words for _, words in all_notes)[:MOST_REASON_CHARACTERS],
            is_odd=bool(one.odd) and outcome not in (Outcome.UNCHANGED, Outcome.PRESENT),
            proposed=dict(proposed or {}),
            item=item,
        )
    )
