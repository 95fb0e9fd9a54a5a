"""Bytes of items, to members only: ranges, a strong ETag, no sniffing, no scripts."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone

from labeling import access, storage
from labeling.models import Item, Media, User
from labeling.services import members
from labeling.views.downloads import let_go_of_database

CHUNK_BYTES = 256 * 2**10
YEAR_SECONDS = 365 * 24 * 3600
# What a browser may render beside its origin; everything else is offered as a download.
SHOWN_TYPES = ("image/", "audio/")
GONE = "The person withdrew consent: these bytes were deleted and do not come back."
NOT_SHOWN = ("image/svg+xml",)
# Shown in the place of a picture, on light and dark pages, wherever one still points at it.
GONE_PICTURE = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 120">'
    '<rect width="120" height="120" fill="#4b545f"/><g fill="#fff" font-family="sans-serif" '
    'font-size="15" text-anchor="middle"><text x="60" y="56">consent</text>'
    '<text x="60" y="76">withdrawn</text></g></svg>'
)


async def media(request: HttpRequest, slug: str, pk: int, what: str) -> HttpResponseBase:
    """Serve an item's original, its preview (thumbnail, peaks) or a copy a browser can show."""
    user = await _viewer(request)
    if user is None:
        return HttpResponse("Log in to see this.", status=401, content_type="text/plain")
    item = await sync_to_async(access.item_for)(user, slug, pk, roles=access.EVERYONE)
    await let_go_of_database()  # a slow download holds none of them
    if item.withdrawn_at:
        return _gone(item, what)
    sha256, mime = _chosen(item, what)
    is_of_these_bytes = request.GET.get("v") == item.content_mark
    if request.headers.get("If-None-Match") == f'"{sha256}"':
        response: HttpResponseBase = HttpResponse(status=304)
        return _with_headers(response, sha256, mime, lasting=is_of_these_bytes)
    if item.dataset.media == Media.TEXT:  # texts lie in their row
        response = HttpResponse(item.content.text, content_type=mime)
        return _with_headers(response, sha256, mime, lasting=is_of_these_bytes)
    path = storage.path_of(sha256)
    if not path.exists():
        raise Http404("the bytes of this item are missing from storage")
    response = _response(request, path, mime)
    return _with_headers(response, sha256, mime, lasting=is_of_these_bytes)


def _gone(item: Item, what: str) -> HttpResponse:
    """Say that the bytes were deleted, in a picture where one was: browsers show it with a 404."""
    is_picture = item.dataset.media == Media.IMAGE and what != "original"
    words, mime = (GONE_PICTURE, "image/svg+xml") if is_picture else (GONE, "text/plain")
    response = HttpResponse(words, status=404, content_type=mime)
    response["Cache-Control"] = "private, no-cache"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


async def _viewer(request: HttpRequest) -> User | None:
    """Return who is logged in, else whose token the API's caller sends along."""
    user = await request.auser()
    if isinstance(user, User):
        return user
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.casefold() != "bearer":
        return None
    return await sync_to_async(members.user_of_token)(text=token.strip(), now=timezone.now())


def _chosen(item: Item, what: str) -> tuple[str, str]:
    content = item.content
    if what == "preview" and content.preview:
        return content.preview, content.preview_mime
    if what == "display" and content.display:
        return content.display, content.display_mime
    return content.sha256, content.mime


def _response(request: HttpRequest, path: Path, mime: str) -> HttpResponseBase:
    size = path.stat().st_size
    asked = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", ""))
    if not asked or asked.groups() == ("", ""):
        response = StreamingHttpResponse(_chunks(path, 0, size), content_type=mime)
        response["Content-Length"] = str(size)
        return response
    first, last = asked.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    if start > end:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    response = StreamingHttpResponse(
        _chunks(path, start, end - start + 1), status=206, content_type=mime
    )
    response["Content-Range"] = f"bytes {start}-{end}/{size}"
    response["Content-Length"] = str(end - start + 1)
    return response


async def _chunks(path: Path, start: int, length: int) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while length > 0:
            chunk = await sync_to_async(file.read, thread_sensitive=False)(min(CHUNK_BYTES, length))
            if not chunk:
                return
            length -= len(chunk)
            yield chunk


def _with_headers(
    response: HttpResponseBase, sha256: str, mime: str, *, lasting: bool
) -> HttpResponseBase:
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = f'"{sha256}"'
    # An import may replace an item's bytes: only an address that names them lasts.
    kept = f"immutable, max-age={YEAR_SECONDS}" if lasting else "no-cache"
    response["Cache-Control"] = f"private, {kept}"
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    if not mime.startswith(SHOWN_TYPES) or mime in NOT_SHOWN:
        response["Content-Disposition"] = "attachment"
    return response
