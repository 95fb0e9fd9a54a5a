"""Reads about Before/After: the comparison of two versions and what its page shows of it."""

import math
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import numpy as np
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from labeling.models import Dataset, Version
from labeling.queries.success import Choice, choice_of
from labeling.services.versions import read_manifest
from labeling.templatetags.figures import decimals, minutes, signed
from quality import arrays
from quality.models import Comparison
from quality.queries.runs import arrange
from quality.queries.success import LATER, Change, change_of, scale_reach

NAMED_CLASSES = 2
CHANGED = ("newly_right", "newly_wrong")
SIDES = ("before", "after")
# Groups, counted as if they were of equal size, below which limits are wide and rough
# (Cameron, Gelbach and Miller 2008, doi:10.1162/rest.90.3.414).
FEW_GROUPS = 5
MOST_CHANGED = 6  # cells told in words where the matrix has no room
PARTS = {
    "relabelled": gettext_lazy("Labels changed"),
    "given": gettext_lazy("Labels given or taken away"),
    "added": gettext_lazy("Items added"),
    "left_out": gettext_lazy("Items left out"),
    "moved": gettext_lazy("Moved between splits"),
    "file": gettext_lazy("Files replaced"),
}
SECONDS_AN_HOUR = 3600
BY_CHANCE = 0.05  # of 95 % limits miss the truth
MANY = 5  # classes; with fewer, one in twenty is none


def versions_of(dataset: Dataset) -> QuerySet[Version]:
    """All versions, newest first."""
    return Version.objects.filter(dataset=dataset).order_by("-number")


def comparison_of(dataset: Dataset, old: int = 0, new: int = 0) -> Comparison | None:
    """The finished comparison of two versions, or the newest one when none are named."""
    done = Comparison.objects.filter(dataset=dataset).exclude(result={})
    if old and new:
        done = done.filter(old__version__number=old, new__version__number=new)
    return done.select_related("old__version", "new__version").order_by("-pk").first()


def comparison_with(dataset: Dataset, pk: int) -> Comparison | None:
    """One finished comparison of this dataset."""
    done = Comparison.objects.filter(dataset=dataset, pk=pk).exclude(result={})
    return done.select_related("old__version", "new__version").first()


def chosen_versions(dataset: Dataset, comparison: Comparison | None) -> dict[str, int]:
    """The two versions to offer: those compared last, else the two newest."""
    if comparison:
        return {side: comparison.result[side]["version"] for side in ("old", "new")}
    newest = list(versions_of(dataset).values_list("number", flat=True)[:2])
    return {"old": newest[-1], "new": newest[0]} if newest else {}


def comparison_page(comparison: Comparison) -> dict[str, Any]:
    """Return the figures, matrices and lists of one comparison, ready to be drawn."""
    result = comparison.result
    before, after = result["matrix_before"], result["matrix_after"]
    order, classes = result["order"], result["classes"]
    seen = [place for place in order if sum(before[place]) or _column(before, after, place)]
    recalls = _opened(comparison, recall_changes(result))
    choice = choice_of(comparison.dataset)
    change = change_of(result, choice)
    return {
        "comparison": comparison,
        "success": choice,
        "change": change,
        "accuracy": change_of(result, None),
        "result": result,
        "before_matrix": arrange(*_only(classes, before, seen), link=_link(comparison, "before")),
        "after_matrix": arrange(*_only(classes, after, seen), link=_link(comparison, "after")),
        "difference_rows": _linked(
            comparison, difference_rows(classes, before, after, order=seen), before, after
        ),
        "few_groups": are_few(result),
        "is_same": not result["newly_right"] + result["newly_wrong"]
        and before == after
        and (not change.is_chosen or change.is_nothing),
        "recalls": recalls,
        "recall_reach": scale_reach(
            min((row.get("low", row["difference"]) for row in recalls), default=0.0),
            max((row.get("high", row["difference"]) for row in recalls), default=0.0),
        ),
        "by_chance": decimals(len(recalls) * BY_CHANCE, 1) if len(recalls) >= MANY else "",
        "tests_differ": is_clear(result) != (result["mcnemar"] < BY_CHANCE),
        "words": in_words(result, recalls, change=change),
        "rates": gain_rates(change, result["changes"], hour_price=comparison.dataset.hour_price),
        "later": _part(result, result.get("later_labels"), LATER, choice),
        **_contributions(result, choice),
    }


def are_few(score: dict[str, Any]) -> bool:
    """Whether a score rests on too few groups, or nearly all on one, to have firm limits."""
    return bool(score.get("worth", FEW_GROUPS) < FEW_GROUPS)


def keys_in_cell(
    comparison: Comparison, side: str, *, given: str = "", predicted: str = ""
) -> list[str]:
    """Return the keys of the items that a cell or a head of one side's matrix counts."""
    classes = comparison.result["classes"]
    values = arrays.comparison_array(comparison.pk, side)
    labels = arrays.comparison_array(comparison.pk, "before_given")  # both sides go by them
    wanted = [name for name in (given, predicted) if name]
    if values is None or labels is None or not set(wanted) <= set(classes):
        return []
    guesses = arrays.predicted_classes(values)
    counted = (guesses >= 0) & (np.asarray(labels) >= 0)
    if given:
        counted &= labels == classes.index(given)
    if predicted:
        counted &= guesses == classes.index(predicted)
    lines = read_manifest(comparison.old.version)
    return [line["key"] for line, is_counted in zip(lines, counted, strict=True) if is_counted]


def _link(comparison: Comparison, side: str) -> Callable[[str, str], str]:
    address = reverse("quality:changed_items", args=[comparison.dataset.slug, comparison.pk, side])

    def link(given: str, predicted: str) -> str:
        wanted = {"given": given, "predicted": predicted}
        return f"{address}?{urlencode({name: value for name, value in wanted.items() if value})}"

    return link


def _linked(
    comparison: Comparison,
    rows: dict[str, Any],
    before: list[list[int]],
    after: list[list[int]],
) -> dict[str, Any]:
    """Let each cell of the difference lead to its items after, or before when none is left."""
    place = {name: number for number, name in enumerate(comparison.result["classes"])}
    links = {side: _link(comparison, side) for side in SIDES}
    for row in rows["rows"]:
        for head, cell in zip(rows["heads"], row["cells"], strict=True):
            cell |= {"given": row["name"], "predicted": head}
            cell["before"] = before[place[row["name"]]][place[head]]
            cell["after"] = after[place[row["name"]]][place[head]]
            cell["url"] = links["after" if cell["after"] else "before"](row["name"], head)
    return rows


def in_words(result: dict[str, Any], recalls: list[dict[str, Any]], *, change: Change) -> str:
    """Say in a few sentences what the comparison found; a loss is called one."""
    if change.is_nothing:
        return _("Not one of %(n)s predictions changed between right and wrong.") % result
    unit = f" {change.unit}" if change.unit else ""
    facts = {
        "points": decimals(abs(change.difference) * change.scale, 3 if change.is_cost else 1),
        "title": change.title,
        **change.words,
        "unit": unit,
        "time": minutes(result["changes"]["seconds"]),
    }
    sentences = [_verdict(change) % facts]
    shown = [row for row in recalls if row.get("is_clear", True)]
    gained = [row["name"] for row in shown if row["difference"] > 0][:NAMED_CLASSES]
    lost = [row["name"] for row in shown[::-1] if row["difference"] < 0][:NAMED_CLASSES]
    if gained:
        sentences.append(_("Gained most: %(names)s.") % {"names": _quoted(gained)})
    if lost:
        sentences.append(_("Lost most: %(names)s.") % {"names": _quoted(lost)})
    return " ".join(sentences)


def _quoted(names: list[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _verdict(change: Change) -> str:
    if change.is_clear and change.is_chosen:
        if change.gain > 0:
            return _(
                "%(time)s of people’s work bought this. %(title)s: %(before)s → %(after)s, better "
                "by %(points)s%(unit)s; %(low)s to %(high)s is plausible."
            )
        return _(
            "A loss. %(title)s: %(before)s → %(after)s, worse by %(points)s%(unit)s; %(low)s to "
            "%(high)s is plausible. Look at what was changed before you go on."
        )
    if change.low > 0:
        return _(
            "%(time)s of people’s work raised accuracy by %(points)s points; "
            "%(low)s to %(high)s is plausible."
        )
    if change.high < 0:
        return _(
            "A loss: accuracy fell by %(points)s points; %(low)s to %(high)s is plausible. "
            "Look at what was changed before you go on."
        )
    return _("No difference could be shown: %(low)s to %(high)s%(unit)s is plausible.")


def gain_rates(
    change: Change, changes: dict[str, Any], *, hour_price: Decimal | None
) -> list[dict[str, Any]]:
    """Return what an hour and a unit of money brought, with the same limits.

    None where nothing changed: then there is nothing to share out. Money is what rounds paid for
    answers, and what the hours of reviewing cost where they have a price.
    """
    if change.is_nothing:
        return []
    hours, cost = changes["seconds"] / SECONDS_AN_HOUR, changes.get("cost", 0.0)
    reviewing = max(0.0, changes["seconds"] - changes.get("answer_seconds", 0.0))
    reviewed = reviewing / SECONDS_AN_HOUR * float(hour_price or 0)
    rates = []
    if hours:
        words = _("cost an item per hour") if change.is_cost else _("points an hour")
        rates.append(_rate(change, hours, words=words))
        rates[0]["is_drawn_out"] = hours < 1
    if cost + reviewed:
        words = _("cost an item per unit of money")
        words = words if change.is_cost else _("points a unit of money")
        unpaid = changes["answers"] - changes["paid_answers"]
        spent = {"paid": cost, "unpaid": unpaid, "reviewed": reviewed, "reviewing": reviewing}
        rates.append(_rate(change, cost + reviewed, words=words) | {"money": spent})
    return rates


def _rate(change: Change, spent: float, *, words: str) -> dict[str, Any]:
    names = ("difference", "low", "high")
    values = {name: getattr(change, name) * change.scale / spent for name in names}
    places = 1 if max(map(abs, values.values())) >= 1 else 3
    told = {name: signed(value, places) for name, value in values.items()}
    return {"words": words, "is_clear": change.is_clear, "told": told, "spent": spent}


def _part(
    result: dict[str, Any], told: dict[str, Any] | None, part: str, choice: Choice | None
) -> Change | None:
    if not told or "refused" in told:
        return None
    return change_of({**told, "success": result.get("success")}, choice, part=part)


def _contributions(result: dict[str, Any], choice: Choice | None) -> dict[str, Any]:
    """What each kind of change contributed, largest gain first, if that was measured."""
    rows = [
        {**row, "words": PARTS[row["kind"]], "change": _part(result, row, row["kind"], choice)}
        for row in result.get("contributions", [])
    ]
    told = [row["change"] for row in rows if row["change"]]
    rows.sort(key=lambda row: -row["change"].gain if row["change"] else math.inf)
    return {
        "parts": rows,
        "parts_missing": next((change.missing for change in told if change.missing), ""),
        "parts_reach": scale_reach(
            min((change.low for change in told), default=0.0),
            max((change.high for change in told), default=0.0),
        ),
    }


def difference_rows(
    classes: list[str], before: list[list[int]], after: list[list[int]], *, order: list[int]
) -> dict[str, Any]:
    """Return the difference of two matrices; `gain` is positive where fewer are wrong."""
    rows, largest = [], 1
    changed: list[dict[str, Any]] = []
    for given in order:
        cells = []
        for predicted in order:
            change = after[given][predicted] - before[given][predicted]
            largest = max(largest, abs(change))
            cells.append({"change": change, "gain": change if given == predicted else -change})
        rows.append({"name": classes[given], "cells": cells})
        changed += [cell for cell in cells if cell["change"]]
    changed.sort(key=lambda cell: -abs(cell["change"]))
    heads = [classes[place] for place in order]
    return {"heads": heads, "rows": rows, "largest": largest, "most": changed[:MOST_CHANGED]}


def recall_changes(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each class's change of recall, largest gain first.

    Comparisons made before there were limits by class have the change alone.
    """
    rows = [row | {"is_clear": is_clear(row)} for row in result.get("recalls", [])]
    return sorted(rows or _bare_recalls(result), key=lambda row: -row["difference"])


def _bare_recalls(result: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for place, name in enumerate(result["classes"]):
        n = sum(result["matrix_before"][place])
        if n:
            before, after = (result[f"matrix_{side}"][place][place] / n for side in SIDES)
            shares = {"before": before, "after": after, "difference": after - before}
            found.append({"name": name, "n": n, **shares})
    return found


def is_clear(change: dict[str, Any]) -> bool:
    """Whether the limits of a change leave zero out."""
    return bool(change["low"] > 0 or change["high"] < 0)


def _opened(comparison: Comparison, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Let each class lead to its judged items, as they were predicted after."""
    link = _link(comparison, "after")
    return [row | {"url": link(row["name"], "")} for row in rows]


def _column(before: list[list[int]], after: list[list[int]], place: int) -> int:
    return sum(row[place] for row in before) + sum(row[place] for row in after)


def _only(
    classes: list[str], counts: list[list[int]], places: list[int]
) -> tuple[list[str], list[list[int]]]:
    return [classes[p] for p in places], [[counts[g][p] for p in places] for g in places]
