"""The web process: uvicorn serves this."""

import gc
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponseBase
from django.template import Engine
from django.template.loader import get_template
from django.urls import get_resolver

MOST_IDLE_THREADS = 8
NEW_OBJECTS = 50_000  # between two looks for garbage; with 700, as usual, a page has five

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Application(ASGIHandler):
    """Django's handler with one hop to a thread a request, and threads that stay.

    Django's own makes a thread and with it a database connection for each request, and
    hops between thread and event loop at each middleware (bench/annotate_load.py). A request
    still has its thread to itself for as long as it lasts, as Django expects.
    """

    def __init__(self) -> None:
        super().__init__()
        self.load_middleware(is_async=False)
        self._in_thread = sync_to_async(self.get_response)
        self._idle: list[ThreadPoolExecutor] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served, not {scope['type']}")
        thread = self._idle.pop() if self._idle else ThreadPoolExecutor(max_workers=1)
        try:
            async with ThreadSensitiveContext(executor=thread):
                await self.handle(scope, receive, send)
        finally:
            if len(self._idle) < MOST_IDLE_THREADS:
                self._idle.append(thread)
            else:
                thread.shutdown(wait=False)

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        return await self._in_thread(request)


def _application() -> Application:
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup(set_prefix=False)
    made = Application()
    _keep()
    return made


def _keep() -> None:
    """Let the garbage collector pass over what a start made: to walk it takes 0.1 s each time.

    A page that reads thousands of rows has it walk everything there is once or twice.
    """
    get_resolver().url_patterns  # noqa: B018  (imports every view, as the first request would)
    import_module("scipy.special")  # as the first page with limits of a share would
    for folder in map(Path, Engine.get_default().dirs):  # parsed, as each page's first visit would
        for path in folder.rglob("*.html"):
            get_template(path.relative_to(folder).as_posix())
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


application = _application()
