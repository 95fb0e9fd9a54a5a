"""The split that is proposed when nothing says one; and how it is taken back."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from labeling.models import Item, Outcome, Split, Upload, UploadEntry, User
from labeling.queries.uploads import is_alone
from labeling.services import jobs, labels
from labeling.services.intake.recording import note_applied

SEED = 20  # fixed: a repeated attempt proposes the same split
IDS_A_STATEMENT = 500
WAITING = "waiting_for_test"  # in the options of an upload: ids of items that test would take
COLUMNS = (
    "key",
    "split",
    "label_id",
    "source_group",
    "captured_at",
    "content__pixel_hash",
    "content__phash",
    "content__is_flat",
)


def propose(*, upload: Upload, work: jobs.Work) -> dict[str, Any]:
    """Put the items that an upload brought into a proposed split; returns counts and the reason.

    Where other items have splits, the new ones join them; those that belong to the test split
    wait in none until a person says so (`join_test`), if the upload was not opened with
    `grow_test`.
    """
    work.progress(message="Proposing a split", now=True)
    brought = set(_brought(upload))
    items = [item for item in _items(upload) if item.pk in brought or item.split != Split.NONE]
    old = {item.pk: item.split for item in items if item.pk not in brought}
    names, reason = _names(items, old)
    is_sealed = bool(old) and not upload.options.get("grow_test")
    waiting = [pk for pk in brought if is_sealed and names[pk] == Split.TEST]
    chosen = {pk: names[pk] for pk in brought.difference(waiting)}
    _move(chosen, work)
    upload.options[WAITING] = sorted(waiting)
    counts = dict(Counter(chosen.values()))
    return {"proposed": True, "reason": reason, "counts": counts, "for_test": len(waiting)}


@transaction.atomic
def follow_sources(*, upload: Upload) -> bool:
    """Propose the split again where new sources ask for it and nobody has built on it yet.

    Where somebody has, the upload notes that the proposal ignores its sources, if some are torn;
    a lead decides. Of a split that was given, the checks tell.
    """
    if _is_untouched(upload) and propose_again(upload=upload):
        return True
    _note(upload, "ignores" if _proposing(upload) and _has_torn_source(upload) else "")
    return False


def _has_torn_source(upload: Upload) -> bool:
    """Tell whether items of one source are in two splits."""
    divided = upload.dataset.items.exclude(split=Split.NONE).exclude(source_group="")
    splits = divided.values("source_group").order_by().annotate(n=Count("split", distinct=True))
    return splits.filter(n__gt=1).exists()


@transaction.atomic
def follow_labels(*, upload: Upload) -> bool:
    """Propose the split again by the first labels of a dataset, if nobody has built on it yet."""
    return _is_untouched(upload) and propose_again(upload=upload, note="by_labels") > 0


def _is_untouched(upload: Upload) -> bool:
    proposing = _proposing(upload)
    is_built_on = upload.dataset.versions.exists()
    return bool(proposing) and not is_built_on and all(map(_is_as_proposed, proposing))


@transaction.atomic
def propose_again(*, upload: Upload, note: str = "done") -> int:
    """Make all proposed splits of a dataset anew, from the sources as they are; returns how many.

    Nothing is done where some items have a split that was not proposed.
    """
    proposing = _proposing(upload)
    _leave_test(upload, proposing)
    brought = {row.pk: set(_brought(row)) for row in proposing}
    everyone = set().union(*brought.values())
    items = [item for item in _items(upload) if item.pk in everyone or item.split != Split.NONE]
    if not items or any(item.pk not in everyone for item in items):
        return 0
    names, reason = _names(items, {})
    for split in sorted(set(names.values())):
        pks = [pk for pk, name in names.items() if name == split]
        for start in range(0, len(pks), IDS_A_STATEMENT):
            labels.move_items(items=pks[start : start + IDS_A_STATEMENT], split=split)
    for row in proposing:
        counts = dict(Counter(names[pk] for pk in brought[row.pk]))
        row.options["result"]["split"] |= {"reason": reason, "counts": counts, "for_test": 0}
        row.options[WAITING] = []
        row.save(update_fields=["options"])
    upload.refresh_from_db(fields=["options"])
    _note(upload, note)
    note_applied(upload)
    return len(names)


@transaction.atomic
def give_way(*, upload: Upload) -> None:
    """Let the proposed splits go that the splits of a table have taken the place of.

    Removed or proposed anew, they would take what the table says with them.
    """
    for row in _proposing(upload):
        if not _is_as_proposed(row):
            result = row.options["result"]
            result["split"] |= {"proposed": False, "replaced": True, "for_test": 0}
            row.options[WAITING] = []
            row.save(update_fields=["options"])
    upload.refresh_from_db(fields=["options"])


def _note(upload: Upload, what: str) -> None:
    upload.options["split_again"] = what
    upload.save(update_fields=["options"])


def _proposing(upload: Upload) -> list[Upload]:
    """Return the imports of the dataset whose proposed splits still stand."""
    rows = upload.dataset.uploads.order_by("pk")
    return [row for row in rows if row.options.get("result", {}).get("split", {}).get("proposed")]


def _is_as_proposed(upload: Upload) -> bool:
    """Tell whether the items of an import are in the splits that were proposed, by their counts."""
    brought = upload.entries.filter(outcome=Outcome.IMPORTED, item__isnull=False)
    splits = brought.values_list("item__split", flat=True)
    now = Counter(split for split in splits if split != Split.NONE)
    return dict(now) == upload.options["result"]["split"].get("counts", {})


def _items(upload: Upload) -> list[Item]:
    rows = Item.objects.filter(dataset=upload.dataset).select_related("content").only(*COLUMNS)
    return sorted(rows, key=lambda item: item.key)


def _names(items: Sequence[Item], old: Mapping[int, str]) -> tuple[dict[int, str], str]:
    """Return a split for every item (by id) and the reason; `old` holds those that are settled."""
    from mlcore.folds import SHARES, extend_split, join_groups, propose_split

    numbers = {pk: n for n, pk in enumerate(sorted({i.label_id for i in items if i.label_id}))}
    classes = np.array([numbers.get(item.label_id or 0, -1) for item in items])
    groups = join_groups(
        [item.source_group or None for item in items],
        [item.content.pixel_hash or None for item in items],
        [None if item.content.is_flat else item.content.phash or None for item in items],
    )
    rng = np.random.default_rng(SEED)
    if old:
        splits = np.array([old.get(item.pk, "") for item in items])
        names, reason = extend_split(classes, groups, splits, rng=rng)
    else:
        moments = [item.captured_at for item in items]
        seconds = [moment.timestamp() if moment else None for moment in moments]
        names, reason = propose_split(classes, groups, seconds, shares=SHARES, rng=rng)
    return {item.pk: str(name) for item, name in zip(items, names)}, reason


def _brought(upload: Upload) -> list[int]:
    entries = upload.entries.filter(outcome=Outcome.IMPORTED, item__isnull=False)
    return list(entries.values_list("item_id", flat=True))


def _move(splits: dict[int, str], work: jobs.Work) -> None:
    for split in sorted(set(splits.values())):
        pks = [pk for pk, name in splits.items() if name == split]
        for start in range(0, len(pks), IDS_A_STATEMENT):
            with transaction.atomic():
                work.hold()
                labels.move_items(items=pks[start : start + IDS_A_STATEMENT], split=split)


@transaction.atomic
def remove_proposed(*, upload: Upload) -> int:
    """Take the items that an upload brought out of the split that was proposed for them."""
    result = upload.options.get("result", {})
    if not result.get("split", {}).get("proposed"):
        return 0
    _leave_test(upload, [upload])
    result["split"] = {**result["split"], "proposed": False, "removed": True, "for_test": 0}
    upload.options[WAITING] = []
    upload.save(update_fields=["options"])
    pks = _brought(upload)  # items that were there before keep their splits
    for start in range(0, len(pks), IDS_A_STATEMENT):
        labels.move_items(items=pks[start : start + IDS_A_STATEMENT], split=Split.NONE)
    note_applied(upload)
    return len(pks)


def _leave_test(upload: Upload, proposing: Sequence[Upload]) -> None:
    """Refuse to take test items that a version holds out of it where two have to agree."""
    dataset = upload.dataset
    brought = UploadEntry.objects.filter(upload__in=proposing, outcome=Outcome.IMPORTED)
    in_test = dataset.items.filter(pk__in=brought.values("item"), split=Split.TEST)
    if dataset.has_second_reviewer and dataset.versions.exists() and in_test.exists():
        raise jobs.Refused(
            _("Test items would leave their split, which nobody decides alone here. Move them in"
              " Browse: there it waits for a second reviewer.")
        )  # fmt: skip


@transaction.atomic
def join_test(*, upload: Upload, by: User | None = None) -> int:
    """Put the new items whose sources or copies are tested on into the test split, too."""
    if is_alone(upload, by):
        raise jobs.Refused(
            _("The test split grows by nobody alone here: another lead than who imported puts"
              " these into it from this report.")
        )  # fmt: skip
    result = upload.options.get("result", {})
    pks = upload.options.get(WAITING, [])
    if not result.get("split", {}).get("proposed"):
        return 0
    result["split"]["for_test"] = 0
    upload.options[WAITING] = []
    upload.save(update_fields=["options"])
    moved = 0
    for start in range(0, len(pks), IDS_A_STATEMENT):
        some = Item.objects.filter(pk__in=pks[start : start + IDS_A_STATEMENT], split=Split.NONE)
        moved += labels.move_items(items=some.values_list("pk", flat=True), split=Split.TEST)
    note_applied(upload)
    return moved
