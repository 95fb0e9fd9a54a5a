"""Clips cut to their loudest second: new bytes under the same keys, the original kept.

Each cut is noted as an import notes bytes that it could replace; when all are made, one
transaction swaps them and writes the decision. So a job that is cancelled changes no item, and
deleting, withdrawing and taking back know of the originals as they know of replaced ones.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from labeling import storage
from labeling.models import Item, Job, Media, Outcome, Split, Upload, UploadEntry, User
from labeling.services import jobs
from labeling.services.contents import files_changed
from labeling.services.intake.measuring import Opened, open_all
from labeling.services.intake.reading import Candidate
from labeling.services.intake.recording import swapped
from labeling.services.rows import insert_rows
from mlcore.files import UnusableFile
from mlcore.loudest import Cut, cut_to_loudest
from quality.models import Action, Decision, Proposal
from quality.queries.filters import one_of
from quality.queries.loudest import longer_than_a_second
from quality.services import proposing
from quality.services.plans import state_with_content
from quality.services.selection import (
    NothingToChangeError,
    Selection,
    TestItemsError,
)

KIND = "cut"
ITEMS_A_BATCH = 50


@transaction.atomic
def open_cut(selection: Selection) -> Job | Proposal:
    """Open the job that cuts the clips of a selection which last longer; the caller sends it.

    Where test items are among them and a second reviewer is asked, it waits instead.
    """
    ids = [item.pk for item in selection.locked()]
    rows = longer_than_a_second(selection.dataset).filter(one_of("pk", ids))
    splits = dict(rows.order_by("pk").values_list("pk", "split"))
    if not splits:
        raise NothingToChangeError(_("None of these lasts longer than a second."))
    in_test = sum(split == Split.TEST for split in splits.values())
    if in_test and not selection.test_confirmed:
        raise TestItemsError(in_test)
    if in_test and selection.asks_second:
        return _propose(selection, list(splits))
    return _open(selection, list(splits))


def carry_out(proposal: Proposal) -> Job:
    """Open the job for what was proposed, of the clips that are still as they were."""
    ids = [before["item"] for before, _after in proposing.unchanged(proposal)]
    if not ids:
        raise NothingToChangeError(_("All of these were changed since."))
    selection = Selection(
        proposal.dataset, ids, by=proposal.by, seconds=proposal.seconds, proposal=proposal
    )
    return _open(selection, ids)


def _propose(selection: Selection, ids: list[int]) -> Proposal:
    rows = Item.objects.filter(one_of("pk", ids)).select_related("label").order_by("key")
    before = [state_with_content(item) for item in rows]
    return proposing.propose(
        dataset=selection.dataset,
        by=selection.by,
        action=Action.CUT,
        before=before,
        after=before,
        seconds=selection.seconds,
    )


def _open(selection: Selection, ids: list[int]) -> Job:
    upload = Upload.objects.create(
        dataset=selection.dataset, name=_("Cut to the loudest second"), path="", by=selection.by
    )
    options = {"upload": upload.pk, "items": ids, "seconds": selection.seconds}
    if selection.proposal:
        options["proposal"] = selection.proposal.pk
    job = jobs.open_job(kind=KIND, dataset=selection.dataset, options=options, by=selection.by)
    upload.job = job
    upload.save(update_fields=["job"])
    return job


def cut(work: jobs.Work) -> dict[str, Any]:
    """Carry out the job; an attempt after a killed one makes only what is not there yet."""
    upload = Upload.objects.select_related("dataset").get(pk=work.options["upload"])
    if "result" in upload.options:
        return dict(upload.options["result"])
    made = set(upload.entries.values_list("item", flat=True))
    waiting = [pk for pk in work.options["items"] if pk not in made]
    total = len(work.options["items"])
    with ThreadPoolExecutor(storage.THREADS, thread_name_prefix="cut") as pool:
        for start in range(0, len(waiting), ITEMS_A_BATCH):
            work.progress(total - len(waiting) + start, total, message="Cutting")
            work.check()
            items = Item.objects.filter(pk__in=waiting[start : start + ITEMS_A_BATCH])
            _prepare(upload, list(items.filter(withdrawn_at=None).order_by("pk")), work, pool)
    work.progress(total, total, message="Putting them in place", now=True)
    return _swap(upload, work)


def _prepare(
    upload: Upload, items: Sequence[Item], work: jobs.Work, pool: ThreadPoolExecutor
) -> None:
    """Make and store the cuts of some clips, and note them; no item changes yet."""
    cuts = {item.pk: _cut_of(item) for item in items}
    longer = [item for item in items if isinstance(cuts[item.pk], Cut)]
    candidates = [_candidate(item, cuts[item.pk]) for item in longer]
    opened = open_all(candidates, media=Media.AUDIO, pool=pool)
    entries = [_entry(upload, item, cuts[item.pk], one) for item, one in zip(longer, opened)]
    refused = [_refused(upload, item, str(cuts[item.pk])) for item in items if item not in longer]
    contents = {one.content.sha256: one.content for one in opened if one.content}
    with transaction.atomic():
        work.keep()
        new = [content for content in contents.values() if content._state.adding]
        insert_rows(new, ignore_conflicts=True)
        insert_rows(entries + refused)


def _cut_of(item: Item) -> Cut | str:
    """Return the cut of a clip, or why there is none."""
    try:
        content = storage.read_bytes(item.content_id)
    except FileNotFoundError:
        return _("Its bytes are missing from storage.")
    try:
        return cut_to_loudest(content) or _("It does not last longer than a second.")
    except UnusableFile as error:
        return error.reason


def _candidate(item: Item, found: Cut | str) -> Candidate:
    assert isinstance(found, Cut)
    return Candidate(
        name=item.key, key=item.key, size=len(found.content), read=lambda: found.content
    )


def _entry(upload: Upload, item: Item, found: Cut | str, one: Opened) -> UploadEntry:
    if one.content is None or not isinstance(found, Cut):
        return _refused(upload, item, one.problem[1] if one.problem else "")
    words = _("From %(start)s s of the original, %(bytes)s.") % {
        "start": f"{found.start / found.rate:.4f}",
        "bytes": item.content_id[:12],
    }
    # The name's ending is that of the original: of the bytes only what they say themselves.
    proposed = {"content": one.content.sha256, "odd": list(one.content.oddities)}
    return UploadEntry(
        upload=upload,
        name=item.key,
        outcome=Outcome.CONFLICT,
        code="loudest_second",
        reason=words,
        proposed={**proposed, "of": item.content_id},
        item=item,
    )


def _refused(upload: Upload, item: Item, reason: str) -> UploadEntry:
    return UploadEntry(
        upload=upload,
        name=item.key,
        outcome=Outcome.REJECTED,
        code="not_cut",
        reason=reason,
        item=item,
    )


@transaction.atomic
def _swap(upload: Upload, work: jobs.Work) -> dict[str, Any]:
    """Give the items their cuts, where they still have the bytes that were cut."""
    work.keep()
    entries = upload.entries.filter(outcome=Outcome.CONFLICT, item__withdrawn_at=None)
    chosen = Item.objects.select_for_update(of=("self",)).filter(pk__in=entries.values("item"))
    items = {item.pk: item for item in chosen.select_related("label")}
    ready = [
        entry
        for entry in entries.order_by("name")
        if entry.item_id in items and items[entry.item_id].content_id == entry.proposed["of"]
    ]
    before, after = [], []
    for entry in ready:
        item = items[entry.item_id or 0]
        before.append(state_with_content(item))
        entry.proposed |= swapped(item, entry.proposed["content"])
        item.content_id, item.odd = entry.proposed["content"], entry.proposed["odd"]
        after.append(state_with_content(item))
        entry.outcome = Outcome.REPLACED
    Item.objects.bulk_update([items[e.item_id or 0] for e in ready], ["content", "odd"], 200)
    files_changed(upload.dataset_id)
    UploadEntry.objects.bulk_update(ready, ["proposed", "outcome"], 200)
    result = {"upload": upload.pk, "cut": len(ready), "left": upload.entries.count() - len(ready)}
    if ready:
        result["decision"] = _decide(upload, work.job, before, after).pk
    upload.options["result"] = result
    upload.save(update_fields=["options"])
    return result


def _decide(
    upload: Upload, job: Job, before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> Decision:
    by: User | None = job.by
    return Decision.objects.create(
        dataset=upload.dataset,
        by=by,
        action=Action.CUT,
        seconds=job.options["seconds"],
        before=before,
        after=after,
        touches_test=any(state["split"] == Split.TEST for state in after),
        proposal_id=job.options.get("proposal"),
    )
