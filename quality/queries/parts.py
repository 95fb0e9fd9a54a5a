"""Parts of a dataset that can be compared: values of a column, or two filters of Browse."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from django.http import QueryDict
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from labeling.models import Dataset, Item, Job, JobState, Outcome, Split, UploadEntry
from mlcore.shifts import LEAST_ITEMS
from quality.queries.browse import run_of
from quality.queries.chips import chips_of
from quality.queries.filters import Filter, look_up, one_of, read_filter
from quality.queries.survey import Survey

KIND = "compare_parts"
FILTERS, SPLIT, SOURCE, IMPORT, TIME = "filters", "split", "source", "import", "time"
META, QUARTERS = "meta:", "quarters:"
MOST_ASKED = 10  # of the answers that are listed
MOST_PARTS = 6  # the most frequent values of a column; 15 pairs
ITEMS_READ = 500  # of each end of a dataset, for the names of its columns
MOST_NAME = 60  # characters of a part's name
MISSING = {"", "nan", "na", "n/a", "<na>", "null", "none", "-", "–"}  # most as pandas reads them


def columns_of(dataset: Dataset) -> list[tuple[str, str]]:
    """Return what a dataset can be parted by, with its words; filters last."""
    items = dataset.items.filter(excluded="")
    found = [(SPLIT, _("split"))] if items.exclude(split=Split.NONE).exists() else []
    if items.exclude(source_group="").exists():
        found.append((SOURCE, _("source")))
    if dataset.uploads.count() > 1:
        found.append((IMPORT, _("import")))
    if items.filter(captured_at__isnull=False).exists():
        found.append((TIME, _("earlier or later")))
    ends = [items.order_by(order)[:ITEMS_READ] for order in ("pk", "-pk")]
    told = [row for end in ends for row in end.values_list("metadata", flat=True)]
    names = sorted({name for row in told for name in row})
    for name in names:
        found.append((META + name, name))
        if _is_measured([row.get(name) for row in told]):
            found.append((QUARTERS + name, _("%(name)s, in quarters") % {"name": name}))
    return [*found, (FILTERS, _("two filters of Browse"))]


@dataclass(frozen=True)
class Parts:
    """Which part each row of a survey is in ("": none), and what was left out."""

    names: np.ndarray
    in_both: int = 0

    @property
    def sizes(self) -> list[tuple[str, int]]:
        """Parts with their items, most first."""
        return Counter(self.names[self.names != ""].tolist()).most_common()


def parts_of(survey: Survey, asked: Mapping[str, Any], *, kinds: Mapping[str, str]) -> Parts:
    """Part a survey as it was asked: by a column, or A and B by addresses of Browse."""
    if asked["by"] == FILTERS:
        return _by_filters(survey, asked["a"], asked.get("b", ""), kinds=kinds)
    return Parts(_most_frequent(_values(survey, asked["by"])))


def _most_frequent(values: Sequence[str]) -> np.ndarray:
    often = Counter(value for value in values if value).most_common(MOST_PARTS)
    kept = {name for name, n in often if n >= LEAST_ITEMS}
    return np.array([value if value in kept else "" for value in values], dtype=object).astype(str)


def _values(survey: Survey, column: str) -> list[str]:
    """Return what each row holds in a column, in words; "" where nothing."""
    if column == SPLIT:
        return ["" if split == Split.NONE else str(split) for split in survey.splits]
    if column == SOURCE:
        return survey.groups
    if column == IMPORT:
        return _imports(survey)
    if column == TIME:
        return _halves(survey)
    if column.startswith(QUARTERS):
        name = column.removeprefix(QUARTERS)
        return _quarters([row.get(name) for row in survey.metadata])
    name = column.removeprefix(META)
    told = [row.get(name) for row in survey.metadata]
    return ["" if value is None else str(value)[:MOST_NAME] for value in told]


def _number(value: object) -> float | None:
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _is_measured(values: Sequence[object]) -> bool:
    """Whether a column holds numbers alone, more different ones than are compared as values."""
    told = [_number(value) for value in values if not _is_missing(value)]
    return None not in told and len(set(told)) > MOST_PARTS


def _is_missing(value: object) -> bool:
    """Whether a table has nothing there, as people and programs write that."""
    return value is None or str(value).strip().casefold() in MISSING


def _quarters(values: Sequence[object]) -> list[str]:
    """Part at the quartiles, each written as an item has it; equal numbers stay together."""
    numbers = [_number(value) for value in values]
    written = {n: str(value)[:MOST_NAME] for n, value in zip(numbers, values) if n is not None}
    if not written:
        return [""] * len(values)
    known = [number for number in numbers if number is not None]
    limits = np.unique(np.quantile(known, (0.25, 0.5, 0.75), method="inverted_cdf")).tolist()
    told = [written[limit] for limit in limits]
    names = [_("up to %(high)s") % {"high": told[0]}]
    names += [
        _("over %(low)s, up to %(high)s") % {"low": low, "high": high}
        for low, high in pairwise(told)
    ]
    names.append(_("over %(low)s") % {"low": told[-1]})
    return ["" if n is None else names[bisect_left(limits, n)] for n in numbers]


def _imports(survey: Survey) -> list[str]:
    entries = UploadEntry.objects.filter(
        upload__dataset=survey.dataset, outcome=Outcome.IMPORTED, item__isnull=False
    ).values_list("item", "upload", "upload__name")
    came = {item: f"{name[:MOST_NAME]} ({pk})" for item, pk, name in entries.order_by("-upload")}
    return [came.get(pk, "") for pk in survey.ids]


def _halves(survey: Survey) -> list[str]:
    """Part by the middle moment; items without one are in no part."""
    dated = survey.dataset.items.filter(captured_at__isnull=False)
    moments = {pk: at for pk, at in dated.values_list("pk", "captured_at") if at}
    known = sorted(moments[pk] for pk in survey.ids if pk in moments)
    if not known:
        return [""] * len(survey)
    middle = known[(len(known) - 1) // 2]
    told = {"when": date_format(middle, "SHORT_DATETIME_FORMAT")}
    earlier, later = _("until %(when)s") % told, _("after %(when)s") % told
    return [
        "" if pk not in moments else earlier if moments[pk] <= middle else later
        for pk in survey.ids
    ]


def _by_filters(survey: Survey, one: str, other: str, *, kinds: Mapping[str, str]) -> Parts:
    ids, name = _shown(survey.dataset, one, kinds=kinds)
    in_a = np.array([pk in ids for pk in survey.ids], dtype=bool)
    if other:
        ids, second = _shown(survey.dataset, other, kinds=kinds)
        in_b = np.array([pk in ids for pk in survey.ids], dtype=bool)
    else:
        in_b, second = ~in_a, _("everything else")
    if second == name:
        name, second = f"A: {name}", f"B: {second}"
    both = in_a & in_b
    names = np.where(in_a & ~both, name, np.where(in_b & ~both, second, ""))
    return Parts(names, int(both.sum()))


def _shown(dataset: Dataset, query: str, *, kinds: Mapping[str, str]) -> tuple[set[int], str]:
    """Return the items that an address of Browse shows, and its chips as a name."""
    chosen = read_filter(QueryDict(query), media=dataset.media)
    shown = look_up(dataset, chosen, run=run_of(dataset, chosen.run))
    words = ", ".join(chip.words for chip in chips_of(shown, kinds=kinds))
    return set(shown.items().values_list("pk", flat=True)), words[:MOST_NAME] or _("everything")


def answers(dataset: Dataset) -> list[tuple[Job, str]]:
    """Return the newest comparisons that ended well, each with its answer in one line."""
    done = Job.objects.filter(dataset=dataset, kind=KIND, state=JobState.DONE)
    return [(job, _in_one_line(job.result)) for job in done.order_by("-pk")[:MOST_ASKED]]


def _in_one_line(told: Mapping[str, Any]) -> str:
    names = ", ".join(name for name, _n in told["parts"]) or "–"
    if not told["shifts"]:
        return _("%(parts)s: too few items") % {"parts": names}
    sure = [row["parts"] for row in told["shifts"] if row["is_sure"]]
    if not sure:
        return _("%(parts)s: no clear difference") % {"parts": names}
    pairs = list(dict.fromkeys((one, other) for one, other in sure))
    words = _("%(one)s and %(other)s differ") % dict(zip(("one", "other"), pairs[0], strict=True))
    n = len(pairs) - 1
    more = ngettext("and %(n)s pair more", "and %(n)s pairs more", n) % {"n": n}
    return f"{words}, {more}" if n else words


def answer_of(dataset: Dataset, job: Job) -> dict[str, Any]:
    """Return what a comparison found, typical items as addresses of Browse."""
    told = job.result
    ids = {pk for row in told["shifts"] for side in row["typical"] for pk in side}
    found = Item.objects.filter(one_of("pk", sorted(ids)), dataset=dataset, withdrawn_at=None)
    keys = dict(found.values_list("pk", "key"))
    rows = []
    for row in told["shifts"]:
        sides = [tuple(keys[pk] for pk in side if pk in keys) for side in row["typical"]]
        named = zip(row["parts"], row["n"], sides, strict=True)
        rows.append(
            row | {"sides": [(name, n, Filter(keys=side).query()) for name, n, side in named]}
        )
    return told | {"shifts": rows}
