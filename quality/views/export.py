"""Downloads: a version or a list as a file that streams while it is made."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.http import require_GET

from labeling import access
from labeling.models import Dataset, Version
from quality.queries import exports


@login_required
@require_GET
def export(request: access.MemberRequest, slug: str, what: str, form: str) -> HttpResponseBase:
    """Stream an export; `?version=N` names the version, else the newest one."""
    dataset = access.dataset_for(request.user, slug)
    number = request.GET.get("version", "")
    try:
        exports.check(what, form)
        version = exports.version_for(
            dataset, what, number=int(number) if number.isdecimal() else None
        )
        return download(dataset, what, form=form, version=version)
    except exports.CannotExportError as refusal:
        raise Http404(str(refusal)) from refusal


def download(
    dataset: Dataset, what: str, *, form: str, version: Version | None
) -> StreamingHttpResponse:
    """Return an export as a file to keep."""
    content = exports.pieces(dataset, what, form=form, version=version)
    response = StreamingHttpResponse(off_the_loop(content), content_type=exports.FORMATS[form])
    name = exports.file_name(dataset, what, form=form, version=version)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


async def off_the_loop(content: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Make each piece in the request's thread: under ASGI a plain iterator is collected whole."""
    take = sync_to_async(lambda: next(content, None))
    while (piece := await take()) is not None:
        yield piece
