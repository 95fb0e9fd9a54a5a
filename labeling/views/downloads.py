"""Files that stream while they are made."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.db import connection
from django.http import StreamingHttpResponse


def file_response(
    content: Iterator[bytes], *, name: str, content_type: str
) -> StreamingHttpResponse:
    """Return pieces as a file to keep; each leaves as soon as it is made."""
    response = StreamingHttpResponse(off_the_loop(content), content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    response["X-Accel-Buffering"] = "no"
    return response


@sync_to_async
def let_go_of_database() -> None:
    """Give the connection back before a long answer; the next question takes another one.

    A connection that the settings keep open (SQLite) stays.
    """
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()


async def off_the_loop(content: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Make each piece in the request's thread: under ASGI a plain iterator is collected whole."""
    take = sync_to_async(lambda: next(content, None))
    while (piece := await take()) is not None:
        yield piece
