"""A withdrawal of consent: the bytes of a person go everywhere, a tombstone stays.

From the moment it is asked for nobody sees the items any more and nothing new learns from them.
The job then waits for the work that may still read them, and erases. Every step can be repeated
after a kill: what names the bytes goes last, or stands in the job. It cannot be undone.
"""

import time
from collections.abc import Collection, Iterator, Sequence
from typing import Any
from urllib.parse import unquote_plus

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from labeling import shards, version_columns
from labeling.models import (
    Content,
    Dataset,
    Example,
    GoldItem,
    Item,
    ItemTag,
    Job,
    JobState,
    Outcome,
    Upload,
    UploadEntry,
    User,
    Version,
)
from labeling.services import contents, jobs, tombstones
from labeling.services.intake import importing
from labeling.services.versions import read_frozen
from quality import fact_arrays, graphs
from quality.detectors import PART_SHIFT
from quality.models import Comparison, Decision, Flag, FlagState
from quality.queries.filters import one_of
from quality.queries.parts import KIND as COMPARE_PARTS
from quality.queries.parts import MOST_NAME
from quality.services.deleting import without_content

KIND = "withdraw"
# Beside these no withdrawal begins: they change items, by what they read before.
IN_THE_WAY = ("import", "take_back", "cut", KIND)
# Flags whose words hold a value of a column or a source, not items alone.
NAMES_VALUES = Q(kind__in=("shortcut", "slice", PART_SHIFT)) | Q(evidence__has_key="group")
ROWS_A_TRANSACTION = 200
POLL_SECONDS = 0.5
KEYS_OF_RESULT = ("newly_right", "newly_wrong")
UNDECIDED = (Outcome.CONFLICT, Outcome.DIFFERENT, Outcome.PRESENT)


@transaction.atomic
def open_withdrawal(
    *, dataset: Dataset, items: Collection[int], typed: str, by: User | None
) -> Job:
    """Make tombstones of items (by id) at once, and open the job that erases their bytes."""
    if typed.strip() != dataset.slug:
        raise jobs.Refused(f"Type {dataset.slug} to withdraw; nothing was deleted.")
    busy = Job.objects.filter(dataset=dataset, kind__in=IN_THE_WAY, state__in=jobs.OPEN_STATES)
    if other := busy.order_by("pk").first():
        raise jobs.Refused(
            f"Let this end or cancel it, then ask again: {other.title} (job {other.pk})."
        )
    rows = Item.objects.filter(one_of("pk", list(items)), dataset=dataset, withdrawn_at=None)
    held = dict(rows.values_list("pk", "content"))
    if not held:
        raise jobs.Refused("No item was chosen, or all of them were withdrawn already.")
    names = sorted(_names_of(rows))
    _entomb(rows, dataset)
    options = {"items": sorted(held), "contents": sorted(set(held.values())), "names": names}
    # Behind trainings: they read the vectors of which some go.
    return jobs.open_job(kind=KIND, dataset=dataset, options=options, by=by, queue="train")


def _names_of(rows: Any) -> set[str]:
    """Return what a source or a column calls items; a part's name is the beginning of that."""
    told: set[str] = set()
    for source, metadata in rows.values_list("source_group", "metadata").iterator(chunk_size=2000):
        told |= {source, *(str(value) for value in metadata.values())}
    return (told | {name[:MOST_NAME] for name in told}) - {""}


def _entomb(rows: Any, dataset: Dataset) -> None:
    """Leave of items their label, split and answers."""
    pks = list(rows.values_list("pk", flat=True))
    rows.update(
        content=tombstones.content(),
        withdrawn_at=timezone.now(),
        excluded=tombstones.REASON,
        source_group="",
        captured_at=None,
        metadata={},
        odd=[],
    )
    contents.files_changed(dataset.pk)
    chosen = one_of("item", pks)
    ItemTag.objects.filter(chosen).delete()
    Example.objects.filter(chosen).delete()
    GoldItem.objects.filter(chosen, retired_at=None).update(retired_at=timezone.now())
    undecided = UploadEntry.objects.filter(chosen, outcome__in=UNDECIDED)
    undecided.update(outcome=Outcome.REJECTED, code="consent_withdrawn")


def withdraw(work: jobs.Work) -> dict[str, Any]:
    """Erase what a withdrawal takes; an attempt after a killed one goes on."""
    dataset, pks = work.job.dataset, list(work.options["items"])
    assert dataset
    _wait_for_readers(work)
    frozen = _frozen(dataset, pks, work)
    hashes = set(work.options["contents"]).union(*frozen.values()) | _proposed(pks)
    hashes.discard(tombstones.WITHDRAWN)
    work.progress(message="Looking for what others use", now=True)
    theirs = UploadEntry.objects.filter(one_of("item", pks))
    kept = contents.hashes_kept(versions=Version.objects.all(), leaving=theirs)
    _erase(hashes - kept, work)
    _remove_uploads(dataset, pks)
    for some in _batches(pks):
        with transaction.atomic():
            work.keep()
            _forget_names(dataset, some)
    _redact_history(dataset, work)
    _redact_names(dataset, work)
    work.progress(message="Removing vectors", now=True)
    vectors = shards.drop_vectors(without_content)
    graphs.remove_graphs(dataset.pk)  # the next check builds one without them
    fact_arrays.remove(dataset.pk)
    for version in dataset.versions.all():
        version_columns.remove_columns(version)  # made anew without their sources
    stayed = Content.objects.filter(one_of("pk", sorted(hashes))).count()
    return {
        "items": len(pks),
        "erased": len(hashes) - stayed,  # also by an attempt that was killed
        "stayed": stayed,
        "vectors": vectors,
        "versions": {number: len(lines) for number, lines in frozen.items() if lines},
    }


def _wait_for_readers(work: jobs.Work) -> None:
    """Wait while anything runs that may have read the items before they became tombstones."""
    reading = Job.objects.filter(state=JobState.RUNNING).exclude(kind=KIND)
    reading = reading.filter(Q(queue="train") | Q(kind="import") | Q(dataset=work.job.dataset))
    while reading.filter(lease_until__gte=timezone.now()).exists():
        work.progress(message="Waiting for work that reads these items to end", now=True)
        time.sleep(POLL_SECONDS)
        work.check()


def _frozen(dataset: Dataset, pks: Sequence[int], work: jobs.Work) -> dict[int, list[str]]:
    """Return what stands of items in each frozen version, by its number: the bytes of each line."""
    found: dict[int, list[str]] = {}
    rows = dataset.items.filter(one_of("pk", pks)).values_list("key", flat=True)
    gone = {tombstones.tombstone_key(dataset.pk, key) for key in rows}
    for version in dataset.versions.all():
        work.check()
        found[version.number] = [
            line["sha256"]
            for line in read_frozen(version)
            if tombstones.tombstone_key(dataset.pk, line["key"]) in gone
        ]
    return found


def _proposed(pks: Sequence[int]) -> set[str]:
    """Return the bytes that items had, and may get, by an import."""
    found: set[str] = set()
    entries = UploadEntry.objects.filter(one_of("item", pks)).exclude(proposed={})
    for said in entries.values_list("proposed", flat=True):
        found |= {said.get("content", ""), said.get("was", {}).get("content", "")} - {""}
    return found


def _erase(hashes: Collection[str], work: jobs.Work) -> None:
    done = 0
    for some in _batches(sorted(hashes)):
        work.progress(done, len(hashes), message="Deleting bytes")
        contents.wait_for_imports(work)
        with transaction.atomic():
            work.keep()
            contents.erase_unused(some)
        done += len(some)


def _remove_uploads(dataset: Dataset, pks: Sequence[int]) -> None:
    """Remove the files that were sent and are still kept for a day."""
    entries = UploadEntry.objects.filter(one_of("item", pks))
    for upload in Upload.objects.filter(dataset=dataset, pk__in=entries.values("upload")):
        importing.remove_files(upload)


def _forget_names(dataset: Dataset, pks: Sequence[int]) -> None:
    """Put digests in the place of keys: in imports, flags and the items themselves, these last."""
    flags = Flag.objects.filter(one_of("items", pks))
    flags.filter(state=FlagState.OPEN).update(state=FlagState.GONE)
    rows = list(dataset.items.filter(one_of("pk", pks)))
    keys = {row.key: tombstones.tombstone_key(dataset.pk, row.key) for row in rows}
    gone = set(keys.values())
    for flag in flags.distinct():
        for key in sorted(keys, key=len, reverse=True):  # one may be the beginning of another
            flag.reason = flag.reason.replace(key, keys[key])
        flag.reason = flag.reason[:500]
        flag.evidence = tombstones.redacted(flag.evidence, dataset=dataset.pk, gone=gone)
        flag.save(update_fields=["reason", "evidence"])
    entries = UploadEntry.objects.filter(one_of("item", pks))
    _forget_lone_files(dataset, entries)
    entries.update(proposed={}, reason="Consent was withdrawn.")
    for entry in entries:
        entry.name = tombstones.tombstone_key(dataset.pk, entry.name)
        entry.save(update_fields=["name"])
    for row in rows:
        row.key = keys[row.key]
    Item.objects.bulk_update(rows, ["key"])


def _forget_lone_files(dataset: Dataset, entries: QuerySet[UploadEntry]) -> None:
    """Take the name of a file that was imported alone out of its import and what told of it."""
    names = set(entries.values_list("name", flat=True))
    for upload in Upload.objects.filter(dataset=dataset, pk__in=entries.values("upload")):
        if upload.name not in names:
            continue
        name, digest = upload.name, tombstones.tombstone_key(dataset.pk, upload.name)
        Upload.objects.filter(pk=upload.pk).update(name=digest)
        for notice in dataset.notices.filter(about=f"job {upload.job_id}", words__contains=name):
            notice.words = notice.words.replace(name, digest)
            notice.save(update_fields=["words"])


def _redact_history(dataset: Dataset, work: jobs.Work) -> None:
    """Take the keys out of decisions and comparisons; what was decided stays."""
    gone = tombstones.keys_of(dataset.pk)

    def told(value: Any) -> Any:
        return tombstones.redacted(value, dataset=dataset.pk, gone=gone)

    for decision in Decision.objects.filter(dataset=dataset).iterator(chunk_size=500):
        work.check()
        sides = {name: getattr(decision, name) for name in ("before", "after")}
        then = {
            name: [{**state, "key": told(state["key"])} for state in states]
            for name, states in sides.items()
        }
        if then != sides:
            Decision.objects.filter(pk=decision.pk).update(**then)
    for comparison in Comparison.objects.filter(dataset=dataset):
        result = comparison.result
        named = {name: told(result[name]) for name in KEYS_OF_RESULT if name in result}
        Comparison.objects.filter(pk=comparison.pk).update(result=result | named)


def _redact_names(dataset: Dataset, work: jobs.Work) -> None:
    """Take what nobody else is called out of comparisons of parts and of flags that name values."""
    asked = Job.objects.filter(dataset=dataset, kind=KIND, options__has_key="names")
    held = dataset.items.filter(withdrawn_at=None)
    names = {name for job in asked for name in job.options["names"]} - _names_of(held)

    def told(value: Any) -> Any:
        return tombstones.unnamed(value, dataset=dataset.pk, names=names)

    with transaction.atomic():
        work.keep()
        for job in Job.objects.filter(dataset=dataset, kind=COMPARE_PARTS):
            plain = {name: unquote_plus(value) for name, value in job.options.items()}
            said = {"options": told(plain), "result": told(job.result)}
            if said != {"options": plain, "result": job.result}:
                Job.objects.filter(pk=job.pk).update(**said)
        for flag in Flag.objects.filter(NAMES_VALUES, dataset=dataset):
            reason, evidence = told(flag.reason)[:500], told(flag.evidence)
            if (reason, evidence) != (flag.reason, flag.evidence):
                state = FlagState.GONE if flag.state == FlagState.OPEN else flag.state
                rows = Flag.objects.filter(pk=flag.pk)
                rows.update(reason=reason, evidence=evidence, state=state)
        for job in asked:
            job.options.pop("names")
            job.save(update_fields=["options"])


def _batches(values: Sequence[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(values), ROWS_A_TRANSACTION):
        yield list(values[start : start + ROWS_A_TRANSACTION])
