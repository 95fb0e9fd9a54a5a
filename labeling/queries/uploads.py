"""What became of an upload, read for its report page and its download."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.db.models.fields.json import KT
from django.utils.translation import gettext_lazy as _

from labeling.models import (
    Dataset,
    LabelClass,
    LabelSource,
    Media,
    Outcome,
    Split,
    Upload,
    UploadEntry,
    User,
)
from labeling.queries.pages import ROWS_A_PAGE
from mlcore.files import IMAGE_TYPES, SOUND_TYPES, expected_types

PLAIN = (Outcome.IMPORTED, Outcome.UNCHANGED)
WAITING = (Outcome.CONFLICT, Outcome.DIFFERENT)
TO_LOOK_AT = Q(is_odd=True) | ~Q(outcome__in=PLAIN) | ~Q(code="")
# Codes of entries.
ELSEWHERE, UNKNOWN, NOT_MEDIA = "other_key", "unknown_class", "not_media"
LOCKED = "encrypted"
IS_ELSEWHERE = Q(code=ELSEWHERE, proposed__has_key="new")
BY_PEOPLE = (LabelSource.CONSENSUS, LabelSource.REVIEW)
CHANGES_TEST = Q(item__split=Split.TEST) | Q(proposed__split=Split.TEST)
UNREAD = ("zero_bytes", "truncated", "unreadable")
ROLE_WORDS = {
    "key": _("key"),
    "file": _("file name"),
    "label": _("label"),
    "split": _("split"),
    "group": _("source"),
    "captured_at": _("time"),
    "text": _("text"),
}
FIELDS = ("label", "split", "group", "captured_at")


@dataclass(frozen=True)
class Shown:
    """Which entries of a report are asked for; all empty: all."""

    outcome: str = ""
    code: str = ""
    odd: bool = False
    look: bool = False
    text: str = ""


Totals = list[dict[str, Any]]


def totals(upload: Upload) -> Totals:
    """Count entries by outcome and by their first reason, in the order of outcomes."""
    rows = upload.entries.values("code", "outcome", "is_odd").annotate(n=Count("pk"))
    order = {str(value): n for n, value in enumerate(Outcome.values)}
    told: Any = rows.order_by("code", "outcome", "is_odd")  # as the index has them
    return sorted(told, key=lambda row: (order[row["outcome"]], row["code"] != "", -row["n"]))


def counts(told: Totals) -> dict[str, int]:
    """Count entries by outcome; odd ones count among the imported as well."""
    found = Counter(dict.fromkeys((*Outcome.values, "odd"), 0))
    for row in told:
        found[row["outcome"]] += row["n"]
        found["odd"] += row["n"] if row["is_odd"] else 0
    return dict(found)


def locked(told: Totals) -> int:
    """Count the entries that a password kept from being read."""
    return sum(row["n"] for row in told if row["code"] == LOCKED)


def lacks_labels(upload: Upload) -> bool:
    """Whether items of an import have no label, and no table gave any of them one since."""
    entries = upload.entries.filter(item__excluded="").order_by()
    given = entries.filter(item__label_source=LabelSource.IMPORT)
    return entries.filter(item__label=None).exists() and not given.exists()


def asks_for_labels(upload: Upload) -> bool:
    """Whether a person is to say which column is the label: none was, or folders were instead."""
    result = upload.options.get("result", {})
    if not result.get("label_choices"):
        return False
    later = Upload.objects.filter(dataset=upload.dataset_id, path=upload.path, pk__gt=upload.pk)
    if result.get("folder_labels"):
        return not later.filter(options__result__roles__has_key="label").exists()
    return lacks_labels(upload)


def columns_chosen(dataset: Dataset) -> dict[str, str]:
    """Return the columns, by role, that a person chose last; the next import reads them so."""
    done = dataset.uploads.filter(options__has_key="result")
    last = done.exclude(options__has_key="taken_back").order_by("-pk").first()
    options = last.options if last else {}
    chosen = {**options.get("earlier", {}), **(options.get("columns") or {})}
    return {role: name for role, name in chosen.items() if role in FIELDS}


def columns_used(upload: Upload) -> dict[str, str]:
    """Return the columns, by role, that were chosen for an upload, or for one before it."""
    earlier = upload.options.get("earlier", {})
    roles = upload.options.get("result", {}).get("roles", {})
    kept = {role: name for role, name in earlier.items() if roles.get(role) == name}
    return {**kept, **(upload.options.get("columns") or {})}


def to_look_at(told: Totals) -> int:
    """Count the entries that a person should see: rejected, odd, in conflict, half understood."""
    plain = (row["outcome"] in PLAIN and not row["is_odd"] and not row["code"] for row in told)
    return sum(row["n"] for row, is_plain in zip(told, plain, strict=True) if not is_plain)


def entries(upload: Upload, shown: Shown) -> QuerySet[UploadEntry]:
    """Return the entries asked for, in the order in which they were done."""
    chosen = upload.entries.select_related("item")
    if shown.outcome:
        chosen = chosen.filter(outcome=shown.outcome)
    if shown.code:
        chosen = chosen.filter(code=shown.code)
    if shown.odd:
        chosen = chosen.filter(is_odd=True)
    if shown.look:
        chosen = chosen.filter(TO_LOOK_AT)
    if shown.text:
        chosen = chosen.filter(Q(name__icontains=shown.text) | Q(reason__icontains=shown.text))
    return chosen.order_by("pk")


def page_after(upload: Upload, shown: Shown, after: int) -> tuple[list[UploadEntry], int | None]:
    """Return one page of entries behind a row, and the row that the next page begins behind."""
    rows = list(entries(upload, shown).filter(pk__gt=after)[: ROWS_A_PAGE + 1])
    return rows[:ROWS_A_PAGE], rows[ROWS_A_PAGE - 1].pk if len(rows) > ROWS_A_PAGE else None


def has_items(upload: Upload) -> bool:
    """Tell whether an upload brought items, or met some that were there."""
    return upload.entries.filter(item__isnull=False).exists()


def for_another(upload: Upload, by: User | None) -> QuerySet[UploadEntry]:
    """Return what this person does not take over alone: it changes test items, two have to agree.

    Who imported is the first of the two, who takes it over from the report the second.
    """
    waiting = upload.entries.filter(CHANGES_TEST, outcome__in=WAITING, item__isnull=False)
    return waiting if is_alone(upload, by) else waiting.none()


def is_alone(upload: Upload, by: User | None) -> bool:
    """Tell whether this person imported what two have to agree to."""
    return upload.dataset.has_second_reviewer and (by is None or by.pk == upload.by_id)


def elsewhere(upload: Upload) -> int:
    """Count the members whose bytes are here under another key and were not added."""
    return upload.entries.filter(IS_ELSEWHERE).count()


def has_any_item(dataset: Dataset) -> bool:
    """Tell whether a dataset holds anything."""
    return dataset.items.exists()


def keys_come_of_files(upload: Upload) -> bool:
    """Tell whether items came of an upload by the names of files alone, without any table."""
    result = upload.options.get("result") or {}
    alone = bool(result.get("unused")) and not result.get("manifest")
    return (alone or bool(upload.options.get("keeps_keys"))) and has_items(upload)


def alike_classes(dataset: Dataset) -> list[dict[str, Any]]:
    """Return classes in use that differ by case, spaces or underscores alone.

    Each is `old`, with its `n` items, beside the one of them that has most, `new`.
    """
    groups: dict[str, list[LabelClass]] = {}
    for row in dataset.classes.filter(retired_at__isnull=True).order_by("position"):
        folded = "".join(c for c in row.name.casefold() if not c.isspace() and c not in "_-")
        groups.setdefault(folded, []).append(row)
    alike = [rows for rows in groups.values() if len(rows) > 1]
    labelled = dataset.items.filter(label__in=[row.pk for rows in alike for row in rows])
    n = dict(labelled.order_by().values_list("label").annotate(Count("pk"))) if alike else {}
    found = []
    for rows in alike:
        new, *others = sorted(rows, key=lambda row: -n.get(row.pk, 0))
        found += [{"old": old, "new": new, "n": n.get(old.pk, 0)} for old in others]
    return found


def columns_of(upload: Upload) -> dict[str, Any]:
    """Return what each column of the table was read as, and those kept as metadata."""
    result = upload.options.get("result", {})
    roles = result.get("roles", {})
    words = {name: ROLE_WORDS[role] for role, name in reversed(roles.items())}
    rest = [name for name in result.get("columns", []) if name not in words]
    read = [(name, words[name]) for name in result.get("columns", []) if name in words]
    return {"columns_read": read, "columns_kept": rest if read else []}


def other_media(upload: Upload) -> tuple[str, int]:
    """Return which other medium most refused files are, by their names, and how many."""
    refused = upload.entries.filter(outcome=Outcome.REJECTED, code=NOT_MEDIA)
    seen: Counter[str] = Counter()
    for name in refused.values_list("name", flat=True):
        types = expected_types(name)
        seen[Media.IMAGE] += bool(types & IMAGE_TYPES)
        seen[Media.AUDIO] += bool(types & SOUND_TYPES)
    del seen[upload.dataset.media]
    media, count = seen.most_common(1)[0] if seen else ("", 0)
    return (media, count) if count else ("", 0)


def names_unknown(upload: Upload) -> QuerySet[UploadEntry]:
    """Return entries of items that wait for a class which was not there.

    They have no label, or another one that no person gave; other bytes are replaced first.
    """
    waits = Q(item__label=None) | Q(code=UNKNOWN) & ~Q(item__label_source__in=BY_PEOPLE)
    named = upload.entries.filter(waits, proposed__has_key="label", item__isnull=False)
    return named.exclude(outcome=Outcome.CONFLICT)


def unknown_classes(upload: Upload) -> list[dict[str, Any]]:
    """Return the class names of an upload that its dataset does not have, with their items."""
    waiting = names_unknown(upload).filter(code=UNKNOWN)
    named: Any = waiting.annotate(class_name=KT("proposed__label")).values("class_name")
    return list(named.annotate(n=Count("pk")).order_by("-n", "class_name"))


def changes_of(entry: UploadEntry) -> list[dict[str, Any]]:
    """Return what an entry would change of its item: field (in words), before, after."""
    before = entry.proposed.get("before", {})
    found = [
        {"field": ROLE_WORDS[name], "before": before.get(name), "after": entry.proposed[name]}
        for name in FIELDS
        if name in entry.proposed and "before" in entry.proposed
    ]
    for name, value in entry.proposed.get("metadata", {}).items():
        was = before.get("metadata", {}).get(name)
        found.append({"field": name, "before": was, "after": value})
    return found


def report_rows(upload: Upload, shown: Shown) -> Iterator[list[object]]:
    """Yield the report's lines for a download, the header first."""
    yield ["name", "line", "outcome", "odd", "code", "reason", "key"]
    for entry in entries(upload, shown).iterator(chunk_size=2_000):
        key = entry.item.key if entry.item else ""
        line = entry.line or ""
        odd = "yes" if entry.is_odd else ""
        yield [entry.name, line, entry.outcome, odd, entry.code, entry.reason, key]


def uploads_that_wait(dataset: Dataset) -> QuerySet[Upload]:
    """Return the imports with changes (`n`) to apply or with a question, newest first.

    Files that were read again by other columns are told once, as they were read last.
    """
    later = Upload.objects.filter(dataset=dataset, path=OuterRef("path"), pk__gt=OuterRef("pk"))
    different = Q(entries__outcome=Outcome.DIFFERENT)
    has_some = Exists(UploadEntry.objects.filter(upload=OuterRef("pk"), outcome=Outcome.DIFFERENT))
    waiting = dataset.uploads.filter(has_some | Q(options__has_key="question"), ~Exists(later))
    return waiting.annotate(n=Count("entries", filter=different)).order_by("-pk")


def uploads_of(dataset: Dataset) -> QuerySet[Upload]:
    """Return the uploads of a dataset, newest first."""
    begun = dataset.uploads.filter(job__isnull=False)
    return begun.select_related("job", "by").order_by("-pk")


def unread_files(dataset: Dataset) -> dict[str, int]:
    """How many members of all uploads had no length or could not be read, by reason."""
    refused = UploadEntry.objects.filter(
        upload__dataset=dataset, outcome=Outcome.REJECTED, code__in=UNREAD
    )
    return dict(refused.values_list("code").annotate(Count("pk")))
