"""Everything that leaves a dataset, by name and format; pages, API and command share this."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from labeling import export as writers
from labeling import storage
from labeling.models import Dataset, Media, Version
from labeling.models.items import WITHDRAWN
from labeling.queries import exports as people
from labeling.services.versions import read_manifest
from quality.queries import flags, log, settled

Line = dict[str, Any]
NAMES = ("items", "labels", "annotations", "flags", "decisions", "versions")
OF_A_VERSION = ("items", "labels")  # frozen, so the same bytes each time; labels also as of now
FORMATS = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl; charset=utf-8",
    "folders": "application/zip",
}
ENDINGS = {"csv": "csv", "jsonl": "jsonl", "folders": "zip"}
FLAG_COLUMNS = ("kind", "score", "state", "key", "other_key", "subject", "reason")
DECISION_COLUMNS = (
    "decision", "at", "by", "second", "kind", "action", "undoes", "seconds", "touches_test", "key",
    *(f"{name}_before" for name in flags.STATE_SHOWN),
    *(f"{name}_after" for name in flags.STATE_SHOWN),
)  # fmt: skip
VERSION_LABEL_COLUMNS = ("key", "label", "source", "split")


class CannotExportError(Exception):
    """This cannot be had in this format; the words go to the person."""


def newest_version(dataset: Dataset) -> Version | None:
    """Return the version that is exported when none is named."""
    return dataset.versions.order_by("-number").first()


def version_numbered(dataset: Dataset, number: int) -> Version:
    """Return one version."""
    found = dataset.versions.filter(number=number).first()
    if found is None:
        raise CannotExportError(f"{dataset.slug} has no version {number}.")
    return found


def version_for(dataset: Dataset, what: str, *, number: int | None) -> Version | None:
    """Return the version named, else the newest one for what only a version has."""
    if what not in OF_A_VERSION:
        return None
    if number is not None:
        return version_numbered(dataset, number)
    return newest_version(dataset) if what == "items" else None


def check(what: str, form: str) -> None:
    """Refuse names, formats and pairs of them that do not exist, in words."""
    if what not in NAMES:
        raise CannotExportError(f"There is no export of {what}. There are: {', '.join(NAMES)}.")
    if form not in FORMATS:
        raise CannotExportError(f"There is no format {form}. There are: {', '.join(FORMATS)}.")
    if form == "folders" and what != "items":
        raise CannotExportError("Class folders hold items; take csv or jsonl for everything else.")


def file_name(dataset: Dataset, what: str, *, form: str, version: Version | None) -> str:
    """Return how an exported file is called."""
    of = f"-v{version.number}" if version and what in OF_A_VERSION else ""
    return f"{dataset.slug}{of}-{what}.{ENDINGS[form]}"


@dataclass(frozen=True)
class Export:
    """A file on its way."""

    name: str
    content_type: str
    content: Iterator[bytes]


def export(dataset: Dataset, what: str, *, form: str, number: int | None) -> Export:
    """Return an export of the version named, else of the newest."""
    check(what, form)
    version = version_for(dataset, what, number=number)
    return Export(
        name=file_name(dataset, what, form=form, version=version),
        content_type=FORMATS[form],
        content=pieces(dataset, what, form=form, version=version),
    )


def pieces(
    dataset: Dataset, what: str, *, form: str, version: Version | None = None
) -> Iterator[bytes]:
    """Yield an export piece by piece; `items` are those of a version, `labels` may be."""
    check(what, form)
    if what == "items" and version is None:
        raise CannotExportError("Nothing is frozen yet: freeze a version first.")
    if form == "folders":
        assert version
        return writers.as_folders(_members(dataset, version))
    table = rows_of(dataset, what, version=version)
    return writers.as_csv(table) if form == "csv" else writers.as_jsonl(table)


def rows_of(dataset: Dataset, what: str, *, version: Version | None = None) -> writers.Rows:
    """Return the columns and rows of an export."""
    if what == "items" and version:
        rows = people.item_rows(read_manifest(version), media=dataset.media)
        return writers.Rows(people.item_columns(dataset.media), rows)
    if what == "labels" and version:
        labelled = (line for line in read_manifest(version) if line["label"] is not None)
        return writers.Rows(VERSION_LABEL_COLUMNS, _in_order(VERSION_LABEL_COLUMNS, labelled))
    if what == "flags":
        return writers.Rows(FLAG_COLUMNS, _in_order(FLAG_COLUMNS, flags.flag_rows(dataset)))
    if what == "decisions":
        return decided(dataset, {})
    columns, read = _OF_PEOPLE[what]
    return writers.Rows(columns, read(dataset))


def decided(dataset: Dataset, wanted: Mapping[str, Any]) -> writers.Rows:
    """Return the decisions that a `LogForm` asks for, then what answers of rounds settled."""
    told = chain(
        flags.decision_rows(log.decisions_of(dataset, wanted).order_by("pk")),
        settled.settled_rows(settled.changes_of(dataset, wanted)),
    )
    return writers.Rows(DECISION_COLUMNS, _in_order(DECISION_COLUMNS, told))


_OF_PEOPLE: dict[str, tuple[tuple[str, ...], Callable[[Dataset], Iterable[Any]]]] = {
    "labels": (people.LABEL_COLUMNS, people.label_rows),
    "annotations": (people.ANNOTATION_COLUMNS, people.annotation_rows),
    "versions": (people.VERSION_COLUMNS, people.version_rows),
}


def _in_order(columns: tuple[str, ...], rows: Iterable[Line]) -> Iterator[list[Any]]:
    return ([row[name] for name in columns] for row in rows)


def _members(dataset: Dataset, version: Version) -> Iterator[writers.Member]:
    is_text = dataset.media == Media.TEXT
    withdrawn: list[str] = []
    for piece in people.pieces(read_manifest(version)):
        types = people.types_of(piece)
        for line in piece:
            if line["sha256"] == WITHDRAWN:
                withdrawn.append(line["key"])
                continue
            ending = "txt" if is_text else types.get(line["sha256"], "")
            yield writers.Member(
                key=line["key"],
                split=line["split"],
                label=line["label"],
                ending=ending,
                read=_reader(line["sha256"], is_text=is_text),
            )
    if withdrawn:
        yield _note(withdrawn)


def _note(withdrawn: list[str]) -> writers.Member:
    """Say in the zip itself which items it lacks."""
    words = "Left out, because consent was withdrawn:\n" + "\n".join(withdrawn) + "\n"
    return writers.Member(
        key="WITHDRAWN.txt", split="", label=None, ending="txt", read=words.encode, is_note=True
    )


def _reader(sha256: str, *, is_text: bool) -> Callable[[], bytes]:
    return lambda: people.text_of(sha256) if is_text else storage.read_bytes(sha256)
