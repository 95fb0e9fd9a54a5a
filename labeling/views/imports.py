"""Uploads: sent by the browser, watched, and their reports."""

import csv
import io
from collections import Counter
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access, queries, tasks
from labeling.forms.imports import (
    ClassForm,
    ImportOptionsForm,
    MergeClassesForm,
    OpenUploadForm,
    ReportFilterForm,
    SentFilesForm,
)
from labeling.models import Dataset, Media, Outcome, Upload
from labeling.queries import uploads as reads
from labeling.services import datasets, jobs
from labeling.services.intake import differences, importing, receiving, splitting

MOST_CLASSES_AT_ONCE = 100  # added by one button; a column of more is seldom one of labels
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run


@login_required
def import_page(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Choose files and send them; without scripts the form itself does all of it."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = OpenUploadForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        return _receive_all(request, dataset, form)
    context = {
        "dataset": dataset,
        "section": "import",
        "form": ImportOptionsForm() if not form.is_bound else form,
        "uploads": reads.uploads_of(dataset)[:10],
    }
    return render(request, "labeling/import.html", context)


def _receive_all(
    request: access.MemberRequest, dataset: Dataset, form: OpenUploadForm
) -> HttpResponse:
    files = request.FILES.getlist("files")
    name = form.cleaned_data["name"] or (str(files[0].name) if len(files) == 1 else "")
    try:
        upload = receiving.open_upload(
            dataset=dataset,
            name=name or _("%s files") % len(files),
            options=form.options(),
            size=form.cleaned_data["size"] or sum(file.size or 0 for file in files),
            by=request.user,
        )
        if request.headers.get("X-Requested-With") == "fetch":
            return JsonResponse(_addresses(upload), status=201)
        receiving.receive_files(upload=upload, files=_named(files, []))
        _start(upload, request)
    except (jobs.Refused, jobs.JobOpenError) as refusal:
        return _refused(request, dataset, refusal)
    return redirect("labeling:upload", dataset.slug, upload.pk)


def _refused(request: access.MemberRequest, dataset: Dataset, refusal: Exception) -> HttpResponse:
    if request.headers.get("X-Requested-With") == "fetch":
        return JsonResponse({"reason": str(refusal)}, status=422)
    messages.error(request, str(refusal))
    return redirect("labeling:import", dataset.slug)


def _addresses(upload: Upload) -> dict[str, str]:
    arguments = [upload.dataset.slug, upload.pk]
    return {
        "files": reverse("labeling:upload_files", args=arguments),
        "start": reverse("labeling:start_upload", args=arguments),
        "report": reverse("labeling:upload", args=arguments),
    }


def _named(files: list[UploadedFile], paths: list[str]) -> list[tuple[str, Any]]:
    """Pair each file with its path; the browser sends the paths of a folder separately."""
    named = paths + [""] * (len(files) - len(paths))
    return [(path or str(file.name), file) for path, file in zip(named, files)]


def _start(upload: Upload, request: access.MemberRequest) -> None:
    tasks.send(receiving.start_import(upload=upload, by=request.user))


@login_required
@require_POST
def upload_files(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Take some of the files of an upload; answered when they lie on the disk."""
    upload = access.upload_for(request.user, slug, pk)
    form = SentFilesForm(request.POST)
    if not form.is_valid():
        return JsonResponse({"reason": str(form.errors)}, status=422)
    named = _named(request.FILES.getlist("files"), form.cleaned_data["paths"])
    try:
        receiving.receive_files(upload=upload, files=named)
    except jobs.Refused as refusal:
        return JsonResponse({"reason": str(refusal)}, status=422)
    return JsonResponse({"received": len(named)})


@login_required
@require_POST
def start_upload(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Begin the import of an upload that has all its files."""
    upload = access.upload_for(request.user, slug, pk)
    try:
        _start(upload, request)
    except (jobs.Refused, jobs.JobOpenError) as refusal:
        return _refused(request, upload.dataset, refusal)
    return JsonResponse(_addresses(upload))


@login_required
def upload(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Watch an import; afterwards read its report."""
    row = access.upload_for(request.user, slug, pk)
    shown, after = _shown(request.GET)
    told = reads.totals(row)
    to_look_at = reads.to_look_at(told)
    if to_look_at and not request.GET:
        shown = replace(shown, look=True)
    result = row.options.get("result", {})
    codes = {total["code"] for total in told}  # without it each would look through all entries
    entries, next_after = reads.page_after(row, shown, after)
    context: dict[str, Any] = {
        "dataset": row.dataset,
        "section": "import",
        "upload": row,
        "job": row.job,
        "result": result,
        "totals": _totals(row, told, shown),
        "to_look_at": to_look_at,
        "shown": shown,
        "entries": [(entry, reads.changes_of(entry)) for entry in entries],
        "next_url": _address(row, shown, next_after) if next_after else "",
        "first_url": _address(row, shown, 0) if after else "",
        "csv_url": f"{reverse('labeling:upload_report', args=[slug, pk])}?{_query(shown)}",
        "counts": reads.counts(told),
        "for_another": reads.for_another(row, request.user).count(),
        "locked": reads.locked(told),
        "asks_for_labels": reads.asks_for_labels(row),
        "elsewhere": reads.elsewhere(row) if reads.ELSEWHERE in codes else 0,
        **_unknown(row, codes),
        "alike": reads.alike_classes(row.dataset),
        "other": _other_media(row) if reads.NOT_MEDIA in codes else {},
        **reads.columns_of(row),
    }
    if not request.GET:
        context |= _folded(context["entries"], context["totals"])
    if row.job is not None:
        context |= queries.job_outlook(row.job)
        is_all_locked = codes == {reads.LOCKED}  # to read it once more would end alike
        context["again"] = None if is_all_locked else _again_form(row)
        context["sample"] = _sample(row)
        context["guessed"] = {**context["result"], **context["sample"]}.get("guessed", [])
    return render(request, "labeling/upload.html", context)


def _unknown(row: Upload, codes: set[str]) -> dict[str, Any]:
    unknown = reads.unknown_classes(row) if reads.UNKNOWN in codes else []
    n = sum(named["n"] for named in unknown)
    return {"unknown": unknown, "n_unknown": n, "most_classes_at_once": MOST_CLASSES_AT_ONCE}


def _again_form(row: Upload) -> ImportOptionsForm | None:
    """Return the form that reads a table once more, if this import can be read again."""
    if not importing.can_read_again(row):
        return None
    named = {f"column_{role}": name for role, name in reads.columns_used(row).items()}
    shown = _sample(row)
    guessed = {f"column_{role}": name for role, name in shown.get("guess", {}).items()}
    form = ImportOptionsForm(initial={**row.options, **guessed, **named})
    result = row.options.get("result", {})
    columns = shown.get("columns") or result.get("columns")
    if columns:
        form.offer_columns(columns)
    if shown.get("role") and not shown.get("may_leave_out"):  # else it would only be asked again
        form.fields[f"column_{shown['role']}"].required = True
    if reads.has_items(row) and not reads.keys_come_of_files(row):  # items are known by keys
        del form.fields["column_key"]
    return form


def _sample(row: Upload) -> dict[str, Any]:
    """Return the first lines of the table whose columns a person should name, if there is one."""
    if "question" in row.options:
        return dict(row.options["question"])
    result = row.options.get("result", {})
    unused = result.get("unused") if not result.get("manifest") else None
    return dict(unused[0]) if unused else {}


def _other_media(row: Upload) -> dict[str, Any]:
    media, count = reads.other_media(row)
    words = dict(Media.choices)
    may_change = bool(count) and not reads.has_any_item(row.dataset)
    return {"media": media, "words": words.get(media, ""), "n": count, "may_change": may_change}


def _folded(entries: list[Any], totals: list[dict[str, Any]]) -> dict[str, Any]:
    """Show lines that say the same only once; the others stand behind their total."""
    seen: set[tuple[str, str, str]] = set()
    kept, folded = [], set()
    for entry, changes in entries:
        says = (entry.outcome, entry.code, entry.reason)
        if entry.reason and not changes and says in seen:
            folded.add((entry.outcome, entry.code))
        else:
            kept.append((entry, changes))
        seen.add(says)
    more = [row for row in totals if (row["outcome"], row["code"]) in folded]
    return {"entries": kept, "folded": more}


@login_required
@require_POST
def read_upload_again(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Import the same files once more, with other columns or splits."""
    row = access.upload_for(request.user, slug, pk)
    form = ImportOptionsForm(request.POST)
    form.is_valid()
    try:
        options = form.options()
        if request.POST.get("what") == "label":  # the one choice; the rest stays as it was
            options = {"columns": {**reads.columns_used(row), **options["columns"]}}
        if request.POST.get("what") == "media":
            media = reads.other_media(row)[0] or row.dataset.media
            datasets.change_media(dataset=row.dataset, media=media)
        again, job = importing.read_again(upload=row, options=options, by=request.user)
    except (jobs.Refused, jobs.JobOpenError, datasets.HasItemsError) as refusal:
        messages.error(request, str(refusal))
        return redirect("labeling:upload", slug, pk)
    tasks.send(job)
    return redirect("labeling:upload", slug, again.pk)


def _shown(asked: QueryDict) -> tuple[reads.Shown, int]:
    form = ReportFilterForm(asked)
    form.is_valid()
    found = form.cleaned_data
    shown = reads.Shown(
        outcome=found.get("outcome", ""),
        code=found.get("code", ""),
        odd=bool(found.get("odd")),
        look=bool(found.get("look")),
        text=found.get("q", ""),
    )
    return shown, found.get("after") or 0


def _query(shown: reads.Shown, **more: object) -> str:
    query = QueryDict(mutable=True)
    wanted = {"outcome": shown.outcome, "code": shown.code, "q": shown.text, **more}
    wanted |= {"odd": "on"} if shown.odd else {}
    wanted |= {"look": "on"} if shown.look else {}
    query.update({name: str(value) for name, value in wanted.items() if value})
    return query.urlencode()


def _address(row: Upload, shown: reads.Shown, after: int) -> str:
    page = reverse("labeling:upload", args=[row.dataset.slug, row.pk])
    everything = {} if shown != reads.Shown() else {"all": "on"}
    return f"{page}?{_query(shown, after=after, **everything)}#lines"


def _totals(row: Upload, told: reads.Totals, shown: reads.Shown) -> list[dict[str, Any]]:
    """Return one line for each outcome and reason, with the address that shows its entries."""
    counted: Counter[tuple[str, str]] = Counter()  # those that are odd as well are no line beside
    for total in told:
        counted[total["outcome"], total["code"]] += total["n"]
    return [
        {
            "outcome": outcome,
            "code": code,
            "n": n,
            "words": Outcome(outcome).label,
            "url": _address(row, reads.Shown(outcome=outcome, code=code), 0),
            "is_active": (outcome, code) == (shown.outcome, shown.code),
        }
        for (outcome, code), n in counted.items()
    ]


@login_required
def upload_report(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """The report's lines as CSV; cells that a spreadsheet would run are made plain text."""
    row = access.upload_for(request.user, slug, pk)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for cells in reads.report_rows(row, _shown(request.GET)[0]):
        writer.writerow([_plain(str(cell)) for cell in cells])
    response = HttpResponse(text.getvalue(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="import-{slug}-{pk}.csv"'
    return response


def _plain(cell: str) -> str:
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell


@login_required
@require_POST
def apply_upload(request: access.MemberRequest, slug: str, pk: int) -> HttpResponse:
    """Carry out what the import left to a person."""
    row = access.upload_for(request.user, slug, pk)
    if row.job is not None and row.job.is_open:
        messages.warning(request, _("The import still runs; wait for its end."))
    elif row.options.get("taken_back"):
        messages.warning(request, _("This import was taken back; import the files again."))
    else:
        try:
            _carry_out(request, row, request.POST.get("what", ""))
        except jobs.Refused as refusal:
            messages.warning(request, str(refusal))
    return redirect("labeling:upload", slug, pk)


def _carry_out(request: access.MemberRequest, row: Upload, what: str) -> None:
    if what == "differences":
        _apply(request, row)
    elif what == "conflicts":
        count = differences.replace_conflicts(upload=row, by=request.user)
        messages.success(request, _("%s items replaced.") % count)
    elif what == "copies":
        count = differences.add_copies(upload=row, by=request.user)
        messages.success(request, _("%s items added.") % count)
    elif what == "split":
        count = splitting.remove_proposed(upload=row)
        messages.success(request, _("%s items are in no split now.") % count)
    elif what == "split_again":
        count = splitting.propose_again(upload=row)
        if count:
            messages.success(request, _("A split of %s items was proposed anew.") % count)
        else:
            messages.warning(
                request,
                _("Nothing was changed: some items are in a split that was not proposed here."),
            )
    elif what == "test":
        count = splitting.join_test(upload=row, by=request.user)
        messages.success(request, _("%s items are in the test split now.") % count)
    elif what == "classes":
        names = [named["class_name"] for named in reads.unknown_classes(row)]
        count = differences.add_classes(upload=row, names=names, by=request.user)
        messages.success(request, _("%s items labelled.") % count)
    elif what in ("merge", "unmerge"):
        _merge(request, row)
    elif what == "class" and (form := ClassForm(request.POST)).is_valid():
        name = form.cleaned_data["name"]
        count = differences.add_classes(upload=row, names=[name], by=request.user)
        messages.success(
            request,
            _("Class “%(name)s”: %(count)s items labelled.") % {"name": name, "count": count},
        )


def _apply(request: access.MemberRequest, row: Upload) -> None:
    done = differences.apply_differences(upload=row, by=request.user)
    words = _("%(items)s items changed; %(labels)s of them have another label now.")
    messages.success(request, words % {"items": done.items, "labels": done.labels})
    if waiting := sum(named["n"] for named in reads.unknown_classes(row)):
        words = _("%s labels were not changed: this dataset has no such classes. Add them below.")
        messages.warning(request, words % waiting)


def _merge(request: access.MemberRequest, row: Upload) -> None:
    form = MergeClassesForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Which classes? Load the page again."))
        return
    old, new = form.cleaned_data["old"], form.cleaned_data["new"]
    if request.POST.get("what") == "merge" and new:
        count = differences.merge_class(upload=row, old=old, new=new, by=request.user)
        messages.success(request, _("%s items relabelled.") % count)
    else:
        count = differences.split_class(upload=row, old=old, by=request.user)
        messages.success(request, _("Taken back: %s items.") % count)
