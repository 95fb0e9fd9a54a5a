"""The web process answers each request in a thread that stays, with its own connection."""

import asyncio
import threading
import time

import pytest
from asgiref.testing import ApplicationCommunicator

from config.asgi import MOST_IDLE_THREADS, application

REQUESTS = 30


async def status_of(path: str) -> int:
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"host", b"localhost")],
    }
    talk = ApplicationCommunicator(application, scope)
    await talk.send_input({"type": "http.request"})
    reply = await talk.receive_output(timeout=20)
    while (await talk.receive_output(timeout=20)).get("more_body"):
        pass
    await talk.send_input({"type": "http.disconnect"})
    await talk.wait(timeout=20)
    return int(reply["status"])


@pytest.mark.django_db(transaction=True)
def test_requests_reuse_a_few_threads_one_after_another_and_side_by_side():
    async def visit() -> set[int]:
        found = [await status_of("/login/") for _ in range(REQUESTS)]
        found += await asyncio.gather(*(status_of("/login/") for _ in range(REQUESTS)))
        return set(found)

    before = threading.active_count()
    assert asyncio.run(visit()) == {200}
    ends = time.monotonic() + 20  # those that are too many end after their last request
    while threading.active_count() - before > MOST_IDLE_THREADS + 1:
        assert time.monotonic() < ends
        time.sleep(0.05)
