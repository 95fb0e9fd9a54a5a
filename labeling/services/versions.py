"""Versions: a frozen state of items, labels and splits as one gzipped JSONL manifest."""

import gzip
import io
import json
from collections.abc import Iterator
from itertools import islice
from typing import IO, Any

from django.db import IntegrityError, transaction
from django.db.models import Max

from labeling import storage, version_columns
from labeling.models import Dataset, Item, User, Version
from labeling.queries import by_hand
from labeling.queries.versions import keep_changes
from labeling.services import tombstones
from labeling.version_columns import NONE, Columns, Row

ROWS_A_READ = 2_000
LINES_A_READ = 500


class NothingToFreezeError(Exception):
    """The dataset has no items that a version could hold."""


def freeze_version(
    *, dataset: Dataset, by: User | None = None, note: str = ""
) -> tuple[Version, bool]:
    """Freeze the dataset as it is; returns the version and whether it is new.

    An unchanged dataset gives the newest version again: the digest tells. A note goes to it,
    unless it has one.
    """
    storage.refuse_when_full()
    manifest, rows = _manifest(dataset)
    if not rows:
        raise NothingToFreezeError("This dataset has no items yet. Import some first.")
    digest = storage.write_bytes(manifest)
    with transaction.atomic():
        Dataset.objects.select_for_update().get(pk=dataset.pk)  # one number at a time
        newest = dataset.versions.first()
        if newest and newest.digest == digest:
            if note and not newest.note:
                newest.note = note
                newest.save(update_fields=["note"])
            return newest, False
        number = (dataset.versions.aggregate(most=Max("number"))["most"] or 0) + 1
        version = Version.objects.create(
            dataset=dataset,
            number=number,
            digest=digest,
            items=len(rows),
            labelled=sum(label is not None for label, *_rest in rows),
            created_by=by,
            note=note,
        )
    version_columns.keep(version, version_columns.columns_from(rows))
    if newest:
        keep_changes(newest, version)
    return version, True


class TagTakenError(Exception):
    """Another version of the dataset has this tag."""


def tag_version(*, version: Version, tag: str) -> None:
    """Give a version a name beside its number; an empty one takes the name away."""
    try:
        with transaction.atomic():
            Version.objects.filter(pk=version.pk).update(tag=tag)
    except IntegrityError as error:
        raise TagTakenError(f"Another version is tagged {tag} already.") from error


def manifest_of(version: Version) -> IO[bytes]:
    """Open the stored manifest: the sha256 of these bytes is the version's digest.

    Raises
    ------
    ErasedError
        When somebody in it withdrew consent since: the frozen lines would name them.
    """
    gone = tombstones.keys_of(version.dataset_id)
    if gone and any(
        tombstones.tombstone_key(version.dataset_id, line["key"]) in gone
        for line in read_frozen(version)
    ):
        raise ErasedError("Somebody in this version withdrew consent; take its list instead.")
    return storage.path_of(version.digest).open("rb")


class ErasedError(Exception):
    """What is asked for tells of somebody who withdrew consent."""


def manifest_line(item: Item) -> dict[str, Any]:
    """Return what a version keeps of one item."""
    return {
        "key": item.key,
        "sha256": item.content_id,
        "split": item.split,
        "label": item.label.name if item.label else None,
        "source": item.label_source,
        "group": item.source_group,
        "captured_at": item.captured_at.isoformat() if item.captured_at else None,
        "metadata": item.metadata,
    }


def read_manifest(version: Version) -> Iterator[dict[str, Any]]:
    """Yield a version's lines in their order: sorted by key, row i of every array of its runs.

    A line whose person withdrew consent since keeps its place, split and label, nothing else.
    """
    gone = tombstones.keys_of(version.dataset_id)
    for line in read_frozen(version):
        yield tombstones.masked(line, dataset=version.dataset_id, gone=gone) if gone else line


def read_frozen(version: Version) -> Iterator[dict[str, Any]]:
    """Yield the lines as they were frozen: what the digest is of, for erasing what they name."""
    return read_digest(version.digest)


def read_digest(digest: str) -> Iterator[dict[str, Any]]:
    """Yield the lines that a digest is of; read one by one they take half as long again."""
    with gzip.open(storage.path_of(digest), "rt", encoding="utf-8") as lines:
        while some := ",".join(islice(lines, LINES_A_READ)):
            yield from json.loads(f"[{some}]")


def columns_of(version: Version) -> Columns:
    """Return what stands in all lines; of versions from before it was kept it is made once."""
    found = version_columns.kept(version)
    if found is None:
        found = version_columns.columns_from(_rows_of(version))
        version_columns.keep(version, found)
    return found


def _rows_of(version: Version) -> Iterator[Row]:
    """Yield what columns keep of each line; no item that a version holds is ever deleted."""
    items = Item.objects.filter(dataset=version.dataset_id)
    known: dict[str, int] = dict(by_hand.rows_of(items.values_list("key", "pk")))
    for line in read_manifest(version):
        yield line["label"], line["split"], line["group"], known.get(line["key"], NONE)


def _manifest(dataset: Dataset) -> tuple[bytes, list[Row]]:
    items = (
        Item.objects.filter(dataset=dataset, excluded="").select_related("label").order_by("key")
    )
    buffer, rows = io.BytesIO(), []
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=6) as packed:
        for item in sorted(items.iterator(chunk_size=ROWS_A_READ), key=lambda item: item.key):
            line = manifest_line(item)
            packed.write(json.dumps(line, ensure_ascii=False, sort_keys=True).encode() + b"\n")
            rows.append((line["label"], line["split"], line["group"], item.pk))
    return buffer.getvalue(), rows
