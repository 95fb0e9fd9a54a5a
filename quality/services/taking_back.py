"""An import taken back: what it added goes, what it changed is as before, worked-on items stay."""

from collections.abc import Iterator
from typing import Any

from django.db import transaction
from django.utils import timezone

from labeling.models import (
    Annotation,
    Item,
    Job,
    LabelSource,
    Outcome,
    Upload,
    UploadEntry,
    User,
    Version,
)
from labeling.services import contents, jobs, labels
from labeling.services.intake import importing
from labeling.services.intake.recording import moment_of
from quality.models import Flag
from quality.queries.taking_back import (
    CHANGED,
    NAMED,
    added_by,
    keys_held,
    reason_of,
    relabelled_by,
    test_items_measured,
    worked_on,
)

KIND = "take_back"
ROWS_A_TRANSACTION = 100


@transaction.atomic
def open_taking_back(*, upload: Upload, by: User) -> Job:
    """Open the job that takes an ended import back; the caller sends it."""
    if upload.options.get("taken_back"):
        raise jobs.Refused("This import was taken back already.")
    if upload.dataset.has_second_reviewer and (n := test_items_measured(upload)):
        raise jobs.Refused(
            f"Taking it back would change {n} test items that a version holds since, which nobody "
            "changes alone here. Change them in Browse, where a second reviewer agrees, or let an "
            "owner switch the second reviewer off in the settings until it is done."
        )
    jobs.refuse_while_busy(upload.dataset)
    return jobs.open_job(kind=KIND, dataset=upload.dataset, options={"upload": upload.pk}, by=by)


def take_back(work: jobs.Work) -> dict[str, Any]:
    """Carry out the job; an attempt that follows a killed one goes on where that was."""
    upload = Upload.objects.select_related("dataset").get(pk=work.options["upload"])
    if upload.options.get("taken_back"):
        return dict(upload.options["taken_back"])
    work.progress(message="Looking for what versions hold", now=True)
    kept, keys = _kept(upload), keys_held(upload)
    contents.wait_for_imports(work)
    restored, staying = _restore_all(upload, work)
    removed = _remove_all(upload, work, keys=keys, kept=kept)
    _remove_swapped(upload, work, kept=kept)
    staying |= set(added_by(upload).values_list("key", flat=True))
    result = {
        "removed": removed,
        "restored": restored,
        "kept": len(staying),
        "kept_keys": sorted(staying)[:NAMED],
        "at": timezone.now().isoformat(),
        "by": work.job.by.username if work.job.by else "",
    }
    with transaction.atomic():
        work.hold()
        _remove_unused_classes(upload)
        upload.options["taken_back"] = result
        upload.save(update_fields=["options"])
    importing.remove_files(upload)
    return result


def _kept(upload: Upload) -> set[str]:
    return contents.hashes_kept(versions=Version.objects.all(), leaving=upload.entries.all())


def _batches(pks: list[int]) -> Iterator[tuple[int, list[int]]]:
    for start in range(0, len(pks), ROWS_A_TRANSACTION):
        yield start, pks[start : start + ROWS_A_TRANSACTION]


def _remove_all(upload: Upload, work: jobs.Work, *, keys: set[str], kept: set[str]) -> int:
    pks = [pk for pk, key in added_by(upload).values_list("pk", "key") if key not in keys]
    for done, some in _batches(pks):
        work.progress(done, len(pks), message="Removing items")
        work.check()
        contents.wait_for_imports(work)
        with transaction.atomic():
            work.keep()
            _remove(upload, some, kept)
    brought = upload.entries.filter(outcome=Outcome.IMPORTED, item__isnull=True)
    return brought.count()  # with those that an attempt before this one removed


def _remove(upload: Upload, pks: list[int], kept: set[str]) -> None:
    chosen = Item.objects.filter(pk__in=pks)
    busy = set(worked_on(upload, chosen).values_list("pk", flat=True))
    leaving = Item.objects.filter(pk__in=set(pks) - busy)
    hashes = set(leaving.values_list("content_id", flat=True))
    leaving_pks = list(leaving.values_list("pk", flat=True))
    Flag.objects.filter(
        pk__in=Flag.objects.filter(items__in=leaving_pks, decisions__isnull=True).values("pk")
    ).delete()
    leaving.delete()
    contents.files_changed(upload.dataset_id)
    contents.remove_unused(hashes - kept)


def _remove_swapped(upload: Upload, work: jobs.Work, *, kept: set[str]) -> None:
    """Remove the bytes that came for items which have their earlier ones."""
    swapped = upload.entries.filter(outcome__in=[Outcome.CONFLICT, Outcome.REPLACED])
    came = {proposed.get("content", "") for proposed in swapped.values_list("proposed", flat=True)}
    hashes = sorted(came - kept)
    for start in range(0, len(hashes), ROWS_A_TRANSACTION):
        contents.wait_for_imports(work)
        with transaction.atomic():
            work.keep()
            contents.remove_unused(hashes[start : start + ROWS_A_TRANSACTION])


def _restore_all(upload: Upload, work: jobs.Work) -> tuple[int, set[str]]:
    """Put changed items back; returns how many, and the keys of those that stay as they are."""
    entries = upload.entries.filter(outcome__in=CHANGED, item__isnull=False).order_by("pk")
    pks = list(entries.values_list("pk", flat=True))
    count, staying = 0, set[str]()
    for done, some in _batches(pks):
        work.progress(done, len(pks), message="Putting changes back")
        work.check()
        with transaction.atomic():
            work.keep()
            stays = _restore(entries.filter(pk__in=some).select_related("item"), upload, work)
        count, staying = count + len(some) - len(stays), staying | stays
    for _, some in _batches(sorted(set(relabelled_by(upload)))):
        labels.take_back_labels(
            items=some,
            source=LabelSource.IMPORT,
            given_for=reason_of(upload),
            since=upload.created_at,  # files that are read again have the name of before
            by=work.job.by,
            reason=f"import of {upload.name} taken back",
        )
    return count, staying


def _restore(entries: Any, upload: Upload, work: jobs.Work) -> set[str]:
    items: list[Item] = []
    staying: set[str] = set()
    for entry in entries:
        answered = Annotation.objects.filter(item=entry.item, created_at__gte=upload.created_at)
        if "was" in entry.proposed and answered.exists():  # people answered about the new bytes
            staying.add(entry.item.key)
            continue
        put_back(entry.item, entry)
        items.append(entry.item)
    fields = ["content", "odd", "source_group", "captured_at", "metadata", "split"]
    Item.objects.bulk_update(items, fields)
    contents.files_changed(upload.dataset_id)
    return staying


def put_back(item: Item, entry: UploadEntry) -> None:
    """Undo what an entry changed of its item, where nothing changed it once more since."""
    said, before = entry.proposed, entry.proposed.get("before", {})
    was = said.get("was")
    if was and item.content_id == said["content"]:
        item.content_id, item.odd = was["content"], was["odd"]
    if "group" in before and item.source_group == said["group"]:
        item.source_group = before["group"]
    if "captured_at" in before and item.captured_at == moment_of(said["captured_at"]):
        item.captured_at = moment_of(before["captured_at"])
    if "split" in before and item.split == said["split"]:
        item.split = before["split"]
    for name, value in before.get("metadata", {}).items():
        if item.metadata.get(name) != said["metadata"][name]:
            continue
        if value is None:
            del item.metadata[name]
        else:
            item.metadata[name] = value


def _remove_unused_classes(upload: Upload) -> None:
    """Remove the classes that the import made, unless anything has come to use them."""
    names = upload.options.get("plan", {}).get("new_classes", [])
    if upload.dataset.items.exists() or upload.dataset.versions.exists():
        return
    if upload.dataset.rounds.exists() or upload.dataset.guidelines.exists():
        return
    upload.dataset.classes.filter(name__in=names).delete()
