"""A dataset deleted: its rows, uploads, arrays, and the bytes that nothing else refers to.

Once it is asked for, nobody reaches the dataset any more; every step can be repeated after a
kill, because a row goes only together with, or after, the files that it alone knows of.
"""

import shutil
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from labeling import crowd_findings, shards, version_columns
from labeling.models import (
    Annotation,
    Content,
    Dataset,
    Invitation,
    Job,
    JobState,
    Membership,
    UploadEntry,
    User,
    Version,
)
from labeling.services import contents, jobs
from labeling.services.intake import importing
from labeling.services.versions import read_manifest
from quality import arrays, copy_pairs, fact_arrays, graphs
from quality.models import Decision, Flag
from quality.services import demo

KIND = "delete_dataset"
ROWS_A_TRANSACTION = 200


@transaction.atomic
def open_deletion(*, dataset: Dataset, typed: str, by: User) -> Job:
    """Take a dataset out of everybody's sight and open the job that deletes it."""
    if typed.strip() != dataset.slug:
        raise jobs.Refused(f"Type {dataset.slug} to delete this dataset; nothing was deleted.")
    jobs.refuse_while_busy(dataset)
    Membership.objects.filter(dataset=dataset).delete()
    Invitation.objects.filter(dataset=dataset).delete()
    dataset.rounds.filter(closed_at__isnull=True).update(closed_at=timezone.now())
    options = {"dataset": dataset.pk, "slug": dataset.slug, "name": dataset.name}
    Dataset.objects.filter(pk=dataset.pk).update(
        slug=f"deleted-{dataset.pk}", name=f"{dataset.name[:100]} (being deleted)"
    )
    # Behind trainings: they read the vectors of which some go.
    return jobs.open_job(kind=KIND, options=options, by=by, queue="train")


def delete_dataset(work: jobs.Work) -> dict[str, Any]:
    """Carry out the deletion that a job names; an attempt after a killed one goes on."""
    dataset = Dataset.objects.filter(pk=work.options["dataset"]).first()
    if dataset is not None:
        work.progress(message="Looking for what other datasets use", now=True)
        _end_jobs(dataset)
        kept = _kept_by_others(dataset)
        _delete_findings(dataset)
        _delete_items(dataset, work, kept)
        _delete_versions(dataset, work, kept)
        _delete_uploads(dataset, work, kept)
        _delete_files(dataset, slug=work.options["slug"])
        with transaction.atomic():
            work.keep()
            _delete_rows(dataset)
    work.progress(message="Removing vectors", now=True)
    vectors = shards.drop_vectors(without_content)
    return {"name": work.options["name"], "vectors": vectors}


def _end_jobs(dataset: Dataset) -> None:
    """End what the schedule began in between."""
    busy = Job.objects.filter(dataset=dataset, state__in=jobs.OPEN_STATES)
    busy.update(state=JobState.CANCELLED, finished_at=timezone.now(), lease_until=None)


def _kept_by_others(dataset: Dataset) -> set[str]:
    return contents.hashes_kept(
        versions=Version.objects.exclude(dataset=dataset),
        leaving=UploadEntry.objects.filter(upload__dataset=dataset),
    )


def _delete_findings(dataset: Dataset) -> None:
    for comparison in dataset.comparisons.all():
        shutil.rmtree(arrays.comparison_folder(comparison.pk), ignore_errors=True)
    dataset.comparisons.all().delete()
    for run in dataset.runs.all():
        shutil.rmtree(arrays.run_folder(run), ignore_errors=True)
    dataset.runs.all().delete()
    Decision.objects.filter(dataset=dataset).update(undoes=None)
    Decision.objects.filter(dataset=dataset).delete()
    Flag.objects.filter(dataset=dataset).delete()


def _delete_items(dataset: Dataset, work: jobs.Work, kept: set[str]) -> None:
    total = dataset.items.count()
    done = 0
    ordered = dataset.items.order_by("pk").values_list("pk", flat=True)
    while pks := list(ordered[:ROWS_A_TRANSACTION]):
        work.progress(done, total, message="Deleting items")
        work.check()
        contents.wait_for_imports(work)
        with transaction.atomic():
            work.keep()
            chosen = dataset.items.filter(pk__in=pks)
            hashes = set(chosen.values_list("content_id", flat=True))
            chosen.delete()
            contents.remove_unused(hashes - kept)
        done += len(pks)


def _delete_versions(dataset: Dataset, work: jobs.Work, kept: set[str]) -> None:
    """Delete versions with the contents that they alone still held."""
    for version in dataset.versions.all():
        _remove_contents({line["sha256"] for line in read_manifest(version)} - kept, work)
        with transaction.atomic():
            work.keep()
            version_columns.remove(version)
            version.delete()
            if not Version.objects.filter(digest=version.digest).exists():
                transaction.on_commit(partial(contents.remove_files, [version.digest]))


def _delete_uploads(dataset: Dataset, work: jobs.Work, kept: set[str]) -> None:
    for upload in dataset.uploads.all():
        proposals = upload.entries.exclude(proposed={}).values_list("proposed", flat=True)
        hashes = {p.get("content", "") for p in proposals}
        hashes |= {p.get("was", {}).get("content", "") for p in proposals}
        _remove_contents(hashes - kept, work)
        importing.remove_files(upload)
        upload.delete()


def _remove_contents(hashes: Iterable[str], work: jobs.Work) -> None:
    ordered = sorted(hashes)
    for start in range(0, len(ordered), ROWS_A_TRANSACTION):
        contents.wait_for_imports(work)
        with transaction.atomic():
            work.keep()
            contents.remove_unused(ordered[start : start + ROWS_A_TRANSACTION])


def _delete_files(dataset: Dataset, *, slug: str) -> None:
    graphs.remove_graphs(dataset.pk)
    crowd_findings.remove(dataset.pk)
    copy_pairs.remove_pairs(dataset.pk)
    fact_arrays.remove(dataset.pk)
    if dataset.is_demo and not Dataset.objects.filter(slug=slug).exists():
        shutil.rmtree(demo.folder_of(slug), ignore_errors=True)


def remove_leftovers() -> None:
    """Remove what beat or a page wrote of datasets and versions just as they were deleted.

    What lies there is listed first: a file of something new comes after its row.
    """
    measured, frozen = fact_arrays.written(), version_columns.written()
    for dataset in measured.difference(Dataset.objects.values_list("pk", flat=True)):
        fact_arrays.remove(dataset)
    if frozen:
        version_columns.remove_others(frozen, set(Version.objects.values_list("pk", "digest")))


def _delete_rows(dataset: Dataset) -> None:
    """Delete what is left, in the order in which rows protect each other."""
    Annotation.objects.filter(round__dataset=dataset).delete()
    dataset.rounds.all().delete()
    dataset.annotators.all().delete()
    dataset.guidelines.all().delete()
    dataset.classes.all().delete()
    dataset.delete()


def without_content(hashes: list[str]) -> set[str]:
    """Pick the hashes of which no content is left."""
    gone = set(hashes)
    for start in range(0, len(hashes), ROWS_A_TRANSACTION):
        some = Content.objects.filter(pk__in=hashes[start : start + ROWS_A_TRANSACTION])
        gone -= set(some.values_list("pk", flat=True))
    return gone
