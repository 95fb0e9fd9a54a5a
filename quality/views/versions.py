"""The difference between any two versions: which items, what of them, by whom and why."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from labeling import access
from labeling.models import Split, Version
from labeling.queries.versions import KINDS, Change, changes_of
from quality.forms.versions import VersionsForm
from quality.queries import changes as queries
from quality.queries.comparisons import versions_of

CHANGES_A_PAGE = 50
MOST_KEPT = 5_000  # changes, 3 MB; where there are more, a page is full before much was read
KEPT_SECONDS = 7 * 24 * 3600  # two digests never give another answer
Kept = tuple[str, list[str], str]  # key, kinds, both lines
WORDS = {
    "relabelled": _("Other label"),
    "labelled": _("Labelled"),
    "unlabelled": _("Label taken away"),
    "added": _("Added"),
    "left_out": _("Left out"),
    "moved": _("Other split"),
    "file": _("Other file"),
    "details": _("Source, group, date or metadata"),
}


@login_required
def difference(request: HttpRequest, slug: str) -> HttpResponse:
    """List what differs between two versions, a page at a time, by key."""
    dataset = access.dataset_for(request.user, slug)
    versions = versions_of(dataset)
    form = VersionsForm(request.GET or None, dataset=dataset)
    context: dict[str, Any] = {"dataset": dataset, "section": "versions", "versions": versions}
    if form.is_bound and form.is_valid():
        old, new = sorted(form.cleaned_data[name] for name in ("old", "new"))
        chosen = {version.number: version for version in versions if version.number in (old, new)}
        kind = request.GET.get("kind", "")
        is_newest = new == versions[0].number and old != new
        context["may_restore"] = is_newest and dataset.viewer_role in access.LEADS
        context |= _page(
            chosen[old], chosen[new], kind=kind if kind in KINDS else "",
            after=request.GET.get("after", ""),
        )  # fmt: skip
    return render(request, "quality/version_difference.html", context)


def _page(old: Version, new: Version, *, kind: str, after: str) -> dict[str, Any]:
    counts = _counts(old, new)
    find = _few_changes if counts["total"] <= MOST_KEPT else _many_changes
    shown = list(islice(find(old, new, kind=kind, after=after), CHANGES_A_PAGE + 1))
    return {
        "old": old,
        "new": new,
        "kind": kind,
        "after": after,
        "rows": queries.explained(shown[:CHANGES_A_PAGE], old, new),
        "next": shown[CHANGES_A_PAGE - 1].key if len(shown) > CHANGES_A_PAGE else "",
        "counts": [
            {"kind": name, "words": WORDS[name], "n": counts["kinds"][name]}
            for name in KINDS
            if counts["kinds"].get(name)
        ],
        "total": counts["total"],
        "test_items": counts["test_items"],
        "classes": counts["classes"],
    }


def _many_changes(old: Version, new: Version, *, kind: str, after: str) -> Iterator[Change]:
    """Yield the changes of a kind behind a key, from the manifests."""
    for change in changes_of(old, new):
        if change.key > after and (not kind or kind in change.kinds):
            yield change


def _few_changes(old: Version, new: Version, *, kind: str, after: str) -> Iterator[Change]:
    """Yield the same from what was kept; where changes are few, reading anew finds few.

    Lines are kept as they were written: to make dicts of all for a page took 60 CPU-ms.
    """
    kept: list[Kept] | None = cache.get(_name_of_changes(old, new))
    for key, kinds, lines in map(_as_kept, changes_of(old, new)) if kept is None else kept:
        if key > after and (not kind or kind in kinds):
            was, now = json.loads(lines)
            yield Change(key, was, now)


def _as_kept(change: Change) -> Kept:
    return change.key, change.kinds, json.dumps([change.was, change.now])


def _name_of_changes(old: Version, new: Version) -> str:
    return f"changes-{old.digest}-{new.digest}"


def _counts(old: Version, new: Version) -> dict[str, Any]:
    """Count the changes by kind, and what each class won and lost by them; few are kept."""
    key = f"difference-{old.digest}-{new.digest}"
    found: dict[str, Any] | None = cache.get(key)
    if found is None:
        kinds, won, lost = Counter[str](), Counter[str](), Counter[str]()
        total = test_items = 0
        kept: list[Kept] = []
        for change in changes_of(old, new):
            total += 1
            if total <= MOST_KEPT:
                kept.append(_as_kept(change))
            lines = (change.was or {}, change.now or {})
            test_items += Split.TEST in {line.get("split") for line in lines}
            kinds.update(change.kinds)
            was, now = (change.was or {}).get("label"), (change.now or {}).get("label")
            if was != now:
                lost[was or ""] += 1
                won[now or ""] += 1
        names = sorted((won.keys() | lost.keys()) - {""})
        classes = [{"name": name, "won": won[name], "lost": lost[name]} for name in names]
        found = {"kinds": dict(kinds), "classes": classes, "total": total}
        found["test_items"] = test_items
        cache.set(key, found, KEPT_SECONDS)
        if total <= MOST_KEPT:
            cache.set(_name_of_changes(old, new), kept, KEPT_SECONDS)
    return found
