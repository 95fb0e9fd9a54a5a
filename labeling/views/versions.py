"""The versions of a dataset: freeze, see what changed, take along."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.cache import cache
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from labeling import access
from labeling.forms.versions import FreezeForm
from labeling.models import Version
from labeling.queries import versions as queries
from labeling.services.versions import NothingToFreezeError, freeze_version, read_frozen
from labeling.storage import DiskFullError

CHANGES_KEPT_SECONDS = 7 * 24 * 3600  # two digests never give another answer
LINES_A_PAGE = 100_000  # about a second of reading; the next look at the page goes on


@login_required
def versions(request: access.MemberRequest, slug: str) -> HttpResponse:
    """List the versions, each with what changed since the one before it."""
    dataset = access.dataset_for(request.user, slug)
    found = queries.versions_of(dataset)
    changes = _Comparing()
    context = {
        "dataset": dataset,
        "section": "versions",
        "has_items": bool(found) or dataset.items.exists(),
        "rows": [
            {"version": version, "previous": previous, "changes": changes.of(previous, version)}
            for version, previous in zip(found, [*found[1:], None])
        ][: queries.VERSIONS_SHOWN],
        "has_more": len(found) > queries.VERSIONS_SHOWN,
        "may_freeze": dataset.viewer_role in access.LEADS,
        "form": FreezeForm(),
    }
    return render(request, "labeling/versions.html", context)


class _Comparing:
    """Compares neighbours, at most LINES_A_PAGE lines that no earlier page has compared."""

    def __init__(self) -> None:
        self.left = LINES_A_PAGE

    def of(self, previous: Version | None, version: Version) -> queries.Changes | None:
        if previous is None:
            return None
        key = f"changes-{previous.digest}-{version.digest}"
        found: queries.Changes | None = cache.get(key)
        if found is None and self.left > 0:
            self.left -= previous.items + version.items
            found = queries.changes_between(read_frozen(previous), read_frozen(version))
            cache.set(key, found, CHANGES_KEPT_SECONDS)
        return found


@login_required
@require_POST
def freeze(request: access.MemberRequest, slug: str) -> HttpResponse:
    """Freeze the dataset as it is."""
    dataset = access.dataset_for(request.user, slug, roles=access.LEADS)
    form = FreezeForm(request.POST)
    note = form.cleaned_data["note"] if form.is_valid() else ""
    try:
        version, is_new = freeze_version(dataset=dataset, by=request.user, note=note)
    except (NothingToFreezeError, DiskFullError) as refusal:
        messages.error(request, str(refusal))
    else:
        words = _("Frozen as v%(n)d.") if is_new else _("Nothing changed since v%(n)d.")
        messages.success(request, words % {"n": version.number})
    return redirect("labeling:versions", slug)
