"""The difference between any two versions: which items, what of them, by whom and why."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from labeling import access
from labeling.models import Version
from labeling.queries.versions import KINDS, Change, changes_of, counts_between
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
    counts = counts_between(old, new)
    if after:
        find = _few_changes if counts.total <= MOST_KEPT else _many_changes
        shown = list(islice(find(old, new, kind=kind, after=after), CHANGES_A_PAGE + 1))
    else:
        shown = _first_page(old, new, kind=kind)
    return {
        "old": old,
        "new": new,
        "kind": kind,
        "after": after,
        "rows": queries.explained(shown[:CHANGES_A_PAGE], old, new),
        "next": shown[CHANGES_A_PAGE - 1].key if len(shown) > CHANGES_A_PAGE else "",
        "counts": [
            {"kind": name, "words": WORDS[name], "n": counts.kinds[name]}
            for name in KINDS
            if counts.kinds.get(name)
        ],
        "total": counts.total,
        "test_items": counts.test_items,
        "classes": counts.classes,
    }


def _first_page(old: Version, new: Version, *, kind: str) -> list[Change]:
    """Return the first changes of a kind: where they are full, little of the manifests was read."""
    key = f"{_name_of_changes(old, new)}-first-{kind}"
    shown: list[Change] | None = cache.get(key)
    if shown is None:
        shown = list(islice(_many_changes(old, new, kind=kind, after=""), CHANGES_A_PAGE + 1))
        cache.set(key, shown, KEPT_SECONDS)
    return shown


def _many_changes(old: Version, new: Version, *, kind: str, after: str) -> Iterator[Change]:
    """Yield the changes of a kind behind a key, from the manifests."""
    for change in changes_of(old, new):
        if change.key > after and (not kind or kind in change.kinds):
            yield change


def _few_changes(old: Version, new: Version, *, kind: str, after: str) -> Iterator[Change]:
    """Yield the same from what is kept once somebody goes on to a second page.

    Lines are kept as they were written: to make dicts of all for a page took 60 CPU-ms.
    """
    name = _name_of_changes(old, new)
    kept: list[Kept] | None = cache.get(name)
    if kept is None:
        kept = [_as_kept(change) for change in changes_of(old, new)]
        cache.set(name, kept, KEPT_SECONDS)
    for key, kinds, lines in kept:
        if key > after and (not kind or kind in kinds):
            was, now = json.loads(lines)
            yield Change(key, was, now)


def _as_kept(change: Change) -> Kept:
    return change.key, change.kinds, json.dumps([change.was, change.now])


def _name_of_changes(old: Version, new: Version) -> str:
    return f"changes-{old.digest}-{new.digest}"
