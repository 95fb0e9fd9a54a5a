"""People answering over real HTTP: waiting times, CPU a request, answers wasted.

    python bench/annotate_load.py [--items 50000] [--wanted 1] [--clients 1,8] [--seconds 20]
        [--think 0.2] [--order random|key|newest] [--filter split=train] [--kill 3]
        [--answered 50000] [--until-done] [--import-items 10000] [--export] [--postgres]
        [--kind classify] [--door api|screen] [--gold 10] [--pause]

Starts a Winnow of its own as `manage.py up` does (web, workers, beat, Redis), on SQLite or on a
private PostgreSQL, makes N text items, a round, people with tokens, and lets clients claim and
answer. `--kill N`: that many clients lose their connection now and then in the middle of a
request, and come back; half of them send their last answer again. `--door screen` asks as the
annotation screen does instead of the API. `--gold N` mixes known items in, `--pause` pauses one
person in the middle, who then waits. Prints JSON.

The labeling servers that Winnow is measured against were measured by a client that takes a
description of a server's addresses (`next`, `submit`, with `{task}` and `{label}` filled in).
API and SCREEN below are such descriptions, with `{uuid}` for the id that the client makes and
the item's id as the claim's, and what that client lacks: orders, filters, cut connections, an
import beside. It starts its own server because a place of a round is only right or wrong as
the database has it (`tally`: wasted, places_wrong).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

from http_probe import (  # noqa: E402
    Connection,
    CutError,
    Reply,
    cpu_seconds,
    family,
    megabytes,
    milliseconds,
)

from config.redis_server import free_port  # noqa: E402
from tests.setup import postgres  # noqa: E402

API = {
    "headers": {"Authorization": "Bearer {token}"},
    "next": {
        "method": "POST",
        "path": "/api/datasets/{project}/claims",
        "json": {"round": "{round:int}", "count": 1},
        "id": "items.0.item",
    },
    "submit": {
        "method": "POST",
        "path": "/api/annotations",
        "json": {
            "client_id": "{uuid}",
            "round": "{round:int}",
            "item": "{task:int}",
            "answer": "class",
            "label": "{label:int}",
            "seconds": 1.5,
        },
    },
}
SCREEN = {
    "headers": {
        "Cookie": "winnow_session={session}; winnow_csrf={csrf}",
        "X-CSRFToken": "{csrf}",
    },
    "next": {
        "method": "POST",
        "path": "/annotate/{round}/claims/",
        "json": {"count": 1, "user": "{user}"},
        "id": "items.0.item",
    },
    "submit": {
        "method": "POST",
        "path": "/annotate/{round}/answers/",
        "json": {
            "user": "{user}",
            "answers": [
                {
                    "client_id": "{uuid}",
                    "item": "{task:int}",
                    "answer": "class",
                    "label": "{label:int}",
                    "seconds": 1.5,
                }
            ],
        },
    },
}
SPECS = {"api": API, "screen": SCREEN}
CUT_SHARE = 0.1  # of the requests of a client that is killed now and then
AWAY_SECONDS = 0.5  # until somebody who was cut off is back
POLL_SECONDS = 1.0  # when nothing is free just now


def fill(template: Any, names: dict[str, Any]) -> Any:
    """Put names into a template, as `{name}`; `{name:int}` alone makes a number."""
    if isinstance(template, dict):
        return {key: fill(value, names) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, names) for value in template]
    if not isinstance(template, str):
        return template
    number = re.fullmatch(r"\{(\w+):int\}", template)
    if number:
        return int(names[number[1]])
    return re.sub(r"\{(\w+)\}", lambda found: str(names.get(found[1], found[0])), template)


def dig(reply: Any, path: str) -> Any:
    """Follow a dotted path; None where it ends early."""
    for part in path.split("."):
        if isinstance(reply, list):
            reply = reply[int(part)] if int(part) < len(reply) else None
        else:
            reply = (reply or {}).get(part)
    return reply


@dataclass
class Stream:
    """One spell of several people answering: how long each request took, what went wrong."""

    spec: dict[str, Any]
    options: argparse.Namespace
    names: dict[str, Any]
    base: tuple[str, int]
    ends: float
    times: dict[str, list[float]] = field(default_factory=lambda: {"next": [], "submit": []})
    errors: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    cuts: int = 0

    async def work(self, number: int, person: dict[str, str]) -> None:
        """Claim and answer until the time is over or nothing is left."""
        names = {**self.names, **person}
        connection = Connection(*self.base, fill(self.spec["headers"], names))
        dice = random.Random(number)
        may_cut = number < self.options.kill
        try:
            while time.perf_counter() < self.ends:
                if not await self._one(connection, names, dice, may_cut=may_cut):
                    return
        finally:
            connection.close()

    async def _one(
        self, connection: Connection, names: dict[str, Any], dice: random.Random, *, may_cut: bool
    ) -> bool:
        """Get one item and answer it; False when the round is done."""
        reply = await self._ask(
            connection, "next", names, cut=may_cut and dice.random() < CUT_SHARE
        )
        if reply is None:
            return True
        task = dig(reply.json(), self.spec["next"]["id"]) if reply.status < 300 else None
        if task is None:
            waits_for = ("busy", "paused") if self.options.until_done else ("paused",)
            if dig(reply.json(), "waiting.state") in waits_for:
                await asyncio.sleep(POLL_SECONDS)
                return True
            return reply.status < 300 and not self._is_over(reply)
        await asyncio.sleep(self.options.think * dice.uniform(0.5, 1.5))
        names |= {"task": task, "uuid": uuid.uuid4(), "label": dice.choice(names["classes"])}
        cut = may_cut and dice.random() < CUT_SHARE
        reply = await self._ask(connection, "submit", names, cut=cut)
        if reply is None and dice.random() < 0.5:  # the outbox sends it again, with the same id
            reply = await self._ask(connection, "submit", names)
        if reply is not None and reply.status < 300:
            self.outcomes[self._outcome(reply)] += 1
        return True

    def _is_over(self, reply: Reply) -> bool:
        return dig(reply.json(), "items") == []

    def _outcome(self, reply: Reply) -> str:
        said = reply.json()
        return str(dig(said, "outcome") or dig(said, "answers.0.outcome"))

    async def _ask(
        self, connection: Connection, what: str, names: dict[str, Any], *, cut: bool = False
    ) -> Reply | None:
        """Send one request and note its time; None when the connection was cut."""
        request = self.spec[what]
        body = fill(request["json"], names) if "json" in request else None
        path = fill(request["path"], names)
        try:
            reply = await connection.ask(request["method"], path, body, cut=cut)
        except CutError:
            self.cuts += 1
            await asyncio.sleep(AWAY_SECONDS)
            return None
        if reply.status >= 300:
            self.errors[f"{what} {reply.status}"] += 1
            if reply.status >= 500:
                self.errors["locked"] += b"database is locked" in reply.body
        else:
            self.times[what].append(reply.seconds)
        return reply


async def stream(made: dict[str, Any], options: argparse.Namespace, *, clients: int) -> dict:
    """Let `clients` people answer side by side; return the figures of the spell."""
    spell = Stream(
        made["spec"],
        options,
        {"project": made["slug"], "round": made["round"], "classes": made["classes"]},
        made["base"],
        time.perf_counter() + options.seconds,
    )
    before, start = cpu_seconds(made["web"]), time.perf_counter()
    people = made["people"][:clients]
    await asyncio.gather(*(spell.work(number, one) for number, one in enumerate(people)))
    spent = cpu_seconds(made["web"]) - before
    requests = sum(map(len, spell.times.values())) + sum(spell.errors.values()) + spell.cuts
    return {
        "clients": clients,
        "seconds": round(time.perf_counter() - start, 1),
        "requests": requests,
        "next_ms": milliseconds(spell.times["next"]),
        "submit_ms": milliseconds(spell.times["submit"]),
        "cpu_ms_a_request": round(1000 * spent / max(1, requests), 2),
        "outcomes": dict(spell.outcomes),
        "cut": spell.cuts,
        "errors": dict(spell.errors),
        "web_mb": megabytes(made["web"]),
    }


async def import_beside(made: dict[str, Any], count: int) -> dict[str, Any]:
    """Send texts to the API while people answer; return how long the job took."""
    owner = Connection(*made["base"], {"Authorization": f"Bearer {made['owner']['token']}"})
    texts = [
        {"key": f"new/{number:06}", "text": f"Why was I charged twice, case {number}?"}
        for number in range(count)
    ]
    start = time.perf_counter()
    reply = await owner.ask("POST", f"/api/datasets/{made['slug']}/items", texts)
    assert reply.status == 202, reply.body[:300]
    job = reply.json()["job"]
    while True:
        await asyncio.sleep(0.5)
        state = (await owner.ask("GET", f"/api/jobs/{job}")).json()
        if state["state"] not in ("queued", "running"):
            owner.close()
            told = {name: state[name] for name in ("state", "attempt", "error")}
            return {**told, "seconds": round(time.perf_counter() - start, 1)}


async def export(made: dict[str, Any], form: str) -> dict[str, Any]:
    """Download every annotation; return CPU, time to the first byte and growth of memory."""
    owner = Connection(*made["base"], fill(SCREEN["headers"], made["owner"]))
    before, memory = cpu_seconds(made["web"]), megabytes(made["web"])
    reply = await owner.ask("GET", f"/d/{made['slug']}/export/annotations.{form}")
    owner.close()
    return {
        "status": reply.status,
        "rows": reply.body.count(b"\n"),
        "first_byte_s": round(reply.first, 3),
        "cpu_s": round(cpu_seconds(made["web"]) - before, 2),
        "grew_mb": round(megabytes(made["web"]) - memory, 1),
    }


@contextmanager
def winnow(data: str, database: str) -> Iterator[tuple[int, int, dict[str, str]]]:
    """Start everything as `up` does; yield the port, the web process and the environment."""
    port = free_port()
    environment = {**os.environ, "WINNOW_DATA": data, "DATABASE_URL": database}
    environment.pop("REDIS_URL", None)
    command = [sys.executable, str(ROOT / "manage.py"), "up", "--no-demo", "--port", str(port)]
    up = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, cwd=ROOT)
    try:
        _wait(f"http://127.0.0.1:{port}/healthz", up)
        web = next(pid for pid in family(up.pid) if b"uvicorn" in _command_line(pid))
        yield port, web, environment
    finally:
        up.send_signal(signal.SIGINT)
        up.wait(timeout=60)


def _wait(address: str, process: subprocess.Popen) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise SystemExit("manage.py up ended at once")
        try:
            urllib.request.urlopen(address, timeout=5)
            return
        except (urllib.error.URLError, TimeoutError):
            time.sleep(0.2)
    raise SystemExit("Winnow did not start within two minutes")


def _command_line(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def inside(environment: dict[str, str], *arguments: str) -> Any:
    """Run annotate_inside.py in a process of its own."""
    command = [sys.executable, str(ROOT / "bench/annotate_inside.py"), *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout.splitlines()[-1])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--wanted", type=int, default=1)
    parser.add_argument("--kind", default="classify")
    parser.add_argument("--clients", default="1,8")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--think", type=float, default=0.0)
    parser.add_argument("--order", choices=("key", "newest", "random"), default="random")
    parser.add_argument("--filter", default="")
    parser.add_argument("--kill", type=int, default=0)
    parser.add_argument("--answered", type=int, default=0)
    parser.add_argument("--until-done", action="store_true", help="wait for items held by others")
    parser.add_argument("--import-items", type=int, default=0)
    parser.add_argument("--export", action="store_true")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--gold", type=int, default=0)
    parser.add_argument("--pause", action="store_true", help="the first person, for two seconds")
    parser.add_argument("--door", choices=SPECS, default="api")
    return parser.parse_args()


async def measure(made: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    """Run every spell that was asked for."""
    counts = [int(count) for count in options.clients.split(",")]
    found: dict[str, Any] = {"streams": []}
    for place, clients in enumerate(counts):
        spell = stream(made, options, clients=clients)
        if options.import_items and place == len(counts) - 1:
            beside = import_beside(made, options.import_items)
            figures, found["import"] = await asyncio.gather(spell, beside)
        elif options.pause and place == len(counts) - 1:
            figures, _ = await asyncio.gather(spell, asyncio.to_thread(made["pause"]))
        else:
            figures = await spell
        found["streams"].append(figures)
        print(json.dumps(figures), file=sys.stderr, flush=True)
    if options.export:
        found["export"] = {form: await export(made, form) for form in ("csv", "jsonl")}
    return found


def main() -> None:
    options = arguments()
    people = max(int(count) for count in options.clients.split(","))
    database = postgres.cluster() if options.postgres else nullcontext("")
    with (
        tempfile.TemporaryDirectory(prefix="winnow-load-") as data,
        database as url,
        winnow(data, url) as (port, web, environment),
    ):
        wished = json.dumps({**vars(options), "people": people})
        made = inside(environment, "prepare", wished)
        made |= {"web": web, "base": ("127.0.0.1", port), "spec": SPECS[options.door]}
        made["pause"] = partial(inside, environment, "pause", str(made["round"]))
        found = asyncio.run(measure(made, options))
        found["tally"] = inside(environment, "tally", str(made["round"]))
        logs = Path(data, "logs").glob("*.log")
        found["locked"] = sum(log.read_text(errors="replace").count("is locked") for log in logs)
    print(json.dumps({"options": vars(options), **found}))


if __name__ == "__main__":
    main()
