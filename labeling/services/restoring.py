"""A version brought back: what is now is frozen first, then the dataset becomes what it was.

Items that the version did not hold are left out, none is deleted; so bringing back the version
that was frozen first undoes it. Whoever withdrew consent stays away.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling.models import Content, Dataset, Item, Job, LabelClass, Split, User, Version
from labeling.services import contents, jobs, labels
from labeling.services.datasets import add_classes, retire_class
from labeling.services.versions import (
    NothingToFreezeError,
    freeze_version,
    manifest_line,
    read_manifest,
)
from mlcore.files import name_oddity

KIND = "restore"
ROWS_A_TRANSACTION = 200
CHANGED = ("content", "odd", "split", "excluded", "source_group", "captured_at", "metadata")


@transaction.atomic
def open_restoring(*, version: Version, by: User) -> Job:
    """Open the job that brings a version back; the caller sends it."""
    jobs.refuse_while_busy(version.dataset)
    return jobs.open_job(kind=KIND, dataset=version.dataset, options={"version": version.pk}, by=by)


def restore(work: jobs.Work) -> dict[str, Any]:
    """Carry out the job; an attempt that follows a killed one goes on where that was."""
    version = Version.objects.select_related("dataset").get(pk=work.options["version"])
    dataset = version.dataset
    work.progress(message="Freezing what is there now", now=True)
    wanted = {line["key"]: line for line in read_manifest(version)}
    if dataset.has_second_reviewer and "before" not in work.options:
        _leave_test_items(version, wanted)
    before = _frozen_first(version, work)
    classes = _classes(dataset, {line["label"] for line in wanted.values()} - {None})
    restored = _contents(dataset, wanted, version)
    pks = list(dataset.items.filter(withdrawn_at=None).order_by("pk").values_list("pk", flat=True))
    changed = 0
    for done, some in _batches(pks):
        work.progress(done, len(pks), message=f"Bringing back v{version.number}")
        work.check()
        with transaction.atomic():
            work.keep()
            changed += _restore(some, wanted, classes, restored, version=version, by=work.job.by)
    note = _("v%(n)d brought back") % {"n": version.number}
    work.progress(len(pks), len(pks), message="Freezing it", now=True)
    after, _is_new = freeze_version(dataset=dataset, by=work.job.by, note=note)
    return {
        "version": version.number,
        "before": before,
        "after": after.number,
        "changed": changed,
        "is_whole": after.digest == version.digest,
    }


def _leave_test_items(version: Version, wanted: Mapping[str, dict[str, Any]]) -> None:
    """Refuse where test items would change, which one person alone must not."""
    items = version.dataset.items.filter(withdrawn_at=None).select_related("label")
    n = sum(_changes_test(item, wanted.get(item.key)) for item in items.iterator(chunk_size=500))
    if n:
        raise jobs.Refused(
            f"Bringing v{version.number} back would change {n} test item{'s' if n > 1 else ''}, "
            "which nobody changes alone here. Change them in Browse, where a second reviewer "
            "agrees, or let an owner switch the second reviewer off in the settings until then."
        )


def _changes_test(item: Item, line: Mapping[str, Any] | None) -> bool:
    if line is None:
        return item.split == Split.TEST and not item.excluded
    if Split.TEST not in (item.split, line["split"]):
        return False
    return bool(item.excluded) or manifest_line(item) != line


def _frozen_first(version: Version, work: jobs.Work) -> int | None:
    """Freeze what is there, once for all attempts; returns the number, None where nothing is."""
    if "before" in work.options:
        return work.options["before"]
    note = _("before v%(n)d was brought back") % {"n": version.number}
    try:
        work.options["before"] = freeze_version(dataset=version.dataset, by=work.job.by, note=note)[
            0
        ].number
    except NothingToFreezeError:  # every item is left out
        work.options["before"] = None
    with transaction.atomic():
        work.keep()
        work.rows.update(options=work.options)
    return work.options["before"]


def _classes(dataset: Dataset, names: set[str]) -> dict[str, LabelClass]:
    """Return the classes by name; retired ones are in use again, renamed ones are made anew."""
    with transaction.atomic():
        add_classes(dataset=dataset, names=sorted(names))
        found = {one.name: one for one in dataset.classes.filter(name__in=names)}
        for one in found.values():
            if one.retired_at:
                retire_class(label_class=one, retired=False)
    return found


def _contents(
    dataset: Dataset, wanted: Mapping[str, dict[str, Any]], version: Version
) -> dict[str, Content]:
    """Return the contents that items had and get back; refuses before anything has changed."""
    held = dict(dataset.items.filter(withdrawn_at=None).values_list("key", "content_id"))
    other = {key: wanted[key]["sha256"] for key in held.keys() & wanted.keys()}
    other = {key: sha256 for key, sha256 in other.items() if sha256 != held[key]}
    hashes = sorted(set(other.values()))
    found: dict[str, Content] = {}
    for start in range(0, len(hashes), ROWS_A_TRANSACTION):
        found |= Content.objects.in_bulk(hashes[start : start + ROWS_A_TRANSACTION])
    lost = sorted(key for key, sha256 in other.items() if sha256 not in found)
    if lost:
        raise jobs.Refused(f"The file of {lost[0]} as it was in v{version.number} is gone.")
    return found


def _batches(pks: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    for start in range(0, len(pks), ROWS_A_TRANSACTION):
        yield start, pks[start : start + ROWS_A_TRANSACTION]


def _restore(
    pks: Sequence[int],
    wanted: Mapping[str, dict[str, Any]],
    classes: Mapping[str, LabelClass],
    restored: Mapping[str, Content],
    *,
    version: Version,
    by: User | None,
) -> int:
    """Make items what the version says of them; returns how many changed."""
    rows = Item.objects.select_for_update(of=("self",)).select_related("label")
    changed, relabelled = [], {}
    for item in rows.filter(pk__in=pks, withdrawn_at=None).order_by("pk"):
        line = wanted.get(item.key)
        if line is None:
            if not item.excluded:
                item.excluded = _("not in v%(n)d, which was brought back") % {"n": version.number}
                changed.append(item)
            continue
        if not item.excluded and manifest_line(item) == line:
            continue
        changed.append(item)
        label = classes[line["label"]].pk if line["label"] is not None else None
        relabelled[item.pk] = (label, line["source"])
        if item.content_id != line["sha256"]:
            _swap(item, restored.get(line["sha256"]) or Content.objects.get(pk=line["sha256"]))
        _take_over(item, line)
    Item.objects.bulk_update(changed, CHANGED, batch_size=ROWS_A_TRANSACTION)
    if changed:
        contents.files_changed(version.dataset_id)
    labels.restore_labels(labels=relabelled, by=by, reason=f"v{version.number} brought back")
    return len(changed)


def _swap(item: Item, content: Content) -> None:
    by_name = name_oddity(item.key, content.type)
    item.content = content
    item.odd = [[one.code, one.reason] for one in by_name] + list(content.oddities)


def _take_over(item: Item, line: Mapping[str, Any]) -> None:
    item.split, item.excluded = line["split"], ""
    item.source_group, item.metadata = line["group"], line["metadata"]
    captured = line["captured_at"]
    item.captured_at = datetime.fromisoformat(captured) if captured else None
