"""Bytes that nothing refers to any more, removed for good."""

import time
from collections.abc import Iterable

from django.core.files.storage import storages
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone

from labeling import storage
from labeling.models import Content, Dataset, Item, Job, JobState, Outcome, UploadEntry, Version
from labeling.services import jobs
from labeling.services.versions import read_manifest

POLL_SECONDS = 1.0


def files_changed(dataset: int) -> None:
    """Note that items of a dataset came, went or got other bytes, as their transaction does.

    Nobody then trusts what was read of all of them before.
    """
    Dataset.objects.filter(pk=dataset).update(files_changed=F("files_changed") + 1)


def hashes_kept(*, versions: QuerySet[Version], leaving: QuerySet[UploadEntry]) -> set[str]:
    """Return the contents that versions hold, or an import may still swap that does not leave."""
    kept: set[str] = set()
    for version in versions:
        kept.update(line["sha256"] for line in read_manifest(version))
    swapped = UploadEntry.objects.filter(outcome__in=[Outcome.CONFLICT, Outcome.REPLACED])
    swapped = swapped.exclude(pk__in=leaving.values("pk"))
    for proposed in swapped.values_list("proposed", flat=True).iterator(chunk_size=2_000):
        kept.update(filter(None, (proposed.get("content"), proposed.get("was", {}).get("content"))))
    return kept


def wait_for_imports(work: jobs.Work) -> None:
    """Wait while an import or a cut runs anywhere: it may be about to use the same bytes again."""
    running = Job.objects.filter(kind__in=("import", "cut"), state=JobState.RUNNING)
    while running.filter(lease_until__gte=timezone.now()).exists():
        work.progress(message="Waiting for an import to end", now=True)
        time.sleep(POLL_SECONDS)
        work.check()


def remove_unused(hashes: Iterable[str]) -> int:
    """Remove the rows of contents that no item has; their bytes follow with the transaction.

    The caller holds the transaction and leaves out what versions hold.
    """
    rows = Content.objects.filter(sha256__in=list(hashes))
    rows = rows.filter(~Exists(Item.objects.filter(content=OuterRef("pk"))))
    named = list(rows.values_list("sha256", "preview", "display"))
    Content.objects.filter(sha256__in=[sha256 for sha256, _, _ in named]).delete()
    names = _unnamed({name for row in named for name in row if name}, Content.objects.all())
    transaction.on_commit(lambda: remove_files(names))
    return len(named)


def remove_unnamed(names: set[str]) -> None:
    """Remove stored previews and display copies that no content names any more.

    The caller holds the transaction that named others: killed before its end, it is done again.
    """
    remove_files(_unnamed(names, Content.objects.all()))


def _unnamed(names: set[str], among: QuerySet[Content]) -> set[str]:
    """Return the stored names that none of these contents uses: small ones may look alike."""
    for field in ("sha256", "preview", "display"):
        still = among.filter(**{f"{field}__in": names})
        names = names - set(still.values_list(field, flat=True))
    return names


def erase_unused(hashes: Iterable[str]) -> None:
    """Remove the bytes of contents that no item has, then their rows, which alone know of them.

    So an erasing that is killed can be done again. The caller leaves out what versions hold.
    """
    rows = Content.objects.filter(sha256__in=list(hashes))
    rows = rows.filter(~Exists(Item.objects.filter(content=OuterRef("pk"))))
    named = list(rows.values_list("sha256", "preview", "display"))
    going = [sha256 for sha256, _, _ in named]
    others = Content.objects.exclude(sha256__in=going)
    remove_files(_unnamed({name for row in named for name in row if name}, others))
    Content.objects.filter(sha256__in=going).delete()


def remove_files(names: Iterable[str]) -> None:
    """Remove stored bytes; what is gone already is left alone."""
    for sha256 in names:
        storages["default"].delete(storage.name_of(sha256))
