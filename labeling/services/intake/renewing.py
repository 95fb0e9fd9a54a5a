"""Files that an earlier version measured, measured again; bytes, labels and answers stay."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from labeling import shards, storage
from labeling.models import Content, Dataset, Item, Media
from labeling.services.contents import files_changed, remove_unnamed, wait_for_imports
from labeling.services.intake.measuring import measured_anew
from labeling.services.jobs import Work
from mlcore.files import MEASURED_BY, name_oddity

KIND = "measure_again"
CONTENTS_A_BATCH = 100
MEASURED = (
    "pixel_hash", "phash", "is_flat", "facts", "oddities", "measured_by",
    "preview", "preview_mime", "display", "display_mime",
)  # fmt: skip


def measured_before(dataset: Dataset) -> QuerySet[Content]:
    """Contents of a dataset that an earlier version measured."""
    of_dataset = Item.objects.filter(
        content=OuterRef("pk"), dataset=dataset, withdrawn_at__isnull=True
    )
    return Content.objects.filter(Exists(of_dataset), measured_by__lt=MEASURED_BY)


def measure_again(work: Work) -> dict[str, Any]:
    """Carry out the job; an attempt after a killed one measures only what is left."""
    assert work.job.dataset
    dataset = work.job.dataset
    waiting = list(measured_before(dataset).order_by("pk").values_list("pk", flat=True))
    outdated = set(waiting)
    shards.drop_vectors(outdated.intersection, backbone=shards.SMALL_GREY)
    left = 0
    with ThreadPoolExecutor(storage.THREADS, thread_name_prefix="measure") as pool:
        for start in range(0, len(waiting), CONTENTS_A_BATCH):
            work.progress(start, len(waiting), message="Measuring")
            work.check()
            some = Content.objects.filter(pk__in=waiting[start : start + CONTENTS_A_BATCH])
            left += _measure(list(some), dataset.media, work, pool)
    work.progress(len(waiting), len(waiting), now=True)
    return {"measured": len(waiting) - left, "left": left}


def _measure(contents: Sequence[Content], media: str, work: Work, pool: ThreadPoolExecutor) -> int:
    """Measure some contents and save what came out; returns how many stay as they were.

    Those are noted as measured, too: nothing else would come out the next time.
    """
    read = [(content, _bytes_of(content, media)) for content in contents]
    there = [(content, raw) for content, raw in read if raw is not None]
    files = {content.pk: (raw, f"{content.pk}.{content.type}") for content, raw in there}
    found = measured_anew(files, media=media, pool=pool)
    before = _names_of(contents)
    renewed = []
    for content, _ in there:
        new = found[content.pk]
        if isinstance(new, Content):
            for name in MEASURED:
                setattr(content, name, getattr(new, name))
            renewed.append(content)
    for content in contents:
        content.measured_by = MEASURED_BY
    going = before - _names_of(contents)
    if going:
        wait_for_imports(work)
    with transaction.atomic():
        work.keep()
        Content.objects.bulk_update(contents, MEASURED, batch_size=CONTENTS_A_BATCH)
        items = list(Item.objects.filter(content__in=renewed).select_related("content"))
        _renew_items(items)
        remove_unnamed(going)
    return len(contents) - len(renewed)


def _names_of(contents: Sequence[Content]) -> set[str]:
    return {name for row in contents for name in (row.preview, row.display) if name}


def _renew_items(items: Sequence[Item]) -> None:
    """Say of items what is odd about them now, and that nobody trusts what was read before."""
    for item in items:
        by_name = () if item.content.type == "text" else name_oddity(item.key, item.content.type)
        item.odd = [[one.code, one.reason] for one in by_name] + list(item.content.oddities)
    Item.objects.bulk_update(items, ["odd"], batch_size=CONTENTS_A_BATCH)
    for dataset in {item.dataset_id for item in items}:
        files_changed(dataset)


def _bytes_of(content: Content, media: str) -> bytes | None:
    if media == Media.TEXT:
        return content.text.encode()
    try:
        return storage.read_bytes(content.pk)
    except FileNotFoundError:
        return None
