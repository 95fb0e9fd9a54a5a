"""The split that is proposed when nothing says one; and how it is taken back."""

from collections import Counter
from typing import Any

import numpy as np
from django.db import transaction

from labeling.models import Item, Split, Upload
from labeling.services import jobs, labels

SEED = 20  # fixed: a repeated attempt proposes the same split
IDS_A_STATEMENT = 500
COLUMNS = (
    "key",
    "label_id",
    "source_group",
    "captured_at",
    "content__pixel_hash",
    "content__phash",
    "content__is_flat",
)


def propose(*, upload: Upload, work: jobs.Work) -> dict[str, Any]:
    """Put every item of the dataset into a proposed split; returns counts and the reason."""
    from mlcore.folds import SHARES, join_groups, propose_split

    work.progress(message="Proposing a split", now=True)
    items = sorted(
        Item.objects.filter(dataset=upload.dataset).select_related("content").only(*COLUMNS),
        key=lambda item: item.key,
    )
    classes = {pk: n for n, pk in enumerate(sorted({i.label_id for i in items if i.label_id}))}
    moments = [item.captured_at for item in items]
    names, reason = propose_split(
        np.array([classes.get(item.label_id or 0, -1) for item in items]),
        join_groups(
            [item.source_group or None for item in items],
            [item.content.pixel_hash or None for item in items],
            [None if item.content.is_flat else item.content.phash or None for item in items],
        ),
        [moment.timestamp() if moment else None for moment in moments],
        shares=SHARES,
        rng=np.random.default_rng(SEED),
    )
    splits = {item.pk: str(name) for item, name in zip(items, names)}
    _move(splits, work)
    return {"proposed": True, "reason": reason, "counts": dict(Counter(splits.values()))}


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
    result["split"] = {**result["split"], "proposed": False, "removed": True}
    upload.save(update_fields=["options"])
    brought = upload.entries.filter(item__isnull=False).values_list("item_id", flat=True)
    pks = list(brought)
    for start in range(0, len(pks), IDS_A_STATEMENT):
        labels.move_items(items=pks[start : start + IDS_A_STATEMENT], split=Split.NONE)
    return len(pks)
