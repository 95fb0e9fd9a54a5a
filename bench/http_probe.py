"""A small HTTP client and what /proc says of a server: CPU seconds, memory.

A client of a few lines, because one that costs as much as the server would measure itself.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


class CutError(Exception):
    """The client was killed before the reply came."""


@dataclass
class Reply:
    """Status and body; seconds to the first byte of the body and to its end."""

    status: int
    body: bytes
    first: float
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Connection:
    """One kept-alive connection of one person."""

    host: str
    port: int
    headers: Mapping[str, str]
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None)

    async def ask(
        self, method: str, path: str, body: Any = None, *, cut: bool = False, keep: bool = True
    ) -> Reply:
        """Send one request; `cut` drops the connection before the reply can be read."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        start = time.perf_counter()
        writer.write(self._request(method, path, body))
        await writer.drain()
        if cut:
            await asyncio.sleep(0.002)
            self.close()
            raise CutError
        try:
            status, size, is_chunked = await _head(reader)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.close()
            raise
        first = time.perf_counter() - start
        content = await _chunks(reader, keep=keep) if is_chunked else await reader.readexactly(size)
        return Reply(status, content, first, time.perf_counter() - start)

    def _request(self, method: str, path: str, body: Any) -> bytes:
        content = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if body is not None:
            lines += ["Content-Type: application/json"]
        lines += [f"Content-Length: {len(content)}", "", ""]
        return "\r\n".join(lines).encode() + content

    def close(self) -> None:
        if self._streams:
            self._streams[1].transport.abort()
            self._streams = None


async def _head(reader: asyncio.StreamReader) -> tuple[int, int, bool]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
    is_chunked = headers.get("transfer-encoding") == "chunked"
    return int(lines[0].split()[1]), int(headers.get("content-length", 0)), is_chunked


async def _chunks(reader: asyncio.StreamReader, *, keep: bool) -> bytes:
    pieces = []
    while size := int((await reader.readline()).strip() or b"0", 16):
        piece = await reader.readexactly(size)
        await reader.readexactly(2)
        pieces.append(piece if keep else b"")
    await reader.readline()
    return b"".join(pieces)


def family(pid: int) -> list[int]:
    """Return a process and all below it."""
    found = [pid]
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    for child in children:
        found += family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """Return user and system seconds of one process."""
    parts = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / TICKS


def megabytes(pid: int, what: str = "VmRSS") -> float:
    """Return the resident memory of a process now, or at its highest (VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{what}:\s+(\d+)", status)
    return round(int(found.group(1)) / 1024, 1) if found else 0.0


def memory_of(pid: int) -> dict[str, float]:
    """Return what a process holds in MB: all of it, what it alone needs, the most so far."""
    told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    [anonymous] = re.findall(r"^Anonymous:\s+(\d+)", told, re.MULTILINE)
    return {
        "resident_mb": megabytes(pid),
        "anonymous_mb": round(int(anonymous) / 1024, 1),
        "peak_mb": megabytes(pid, "VmHWM"),
    }


def milliseconds(seconds: list[float]) -> dict[str, float]:
    """Return count, median, 95th percentile and worst."""
    ordered = sorted(seconds)
    if not ordered:
        return {"n": 0}
    places = {"p50": 0.5, "p95": 0.95, "max": 1.0}
    last = len(ordered) - 1
    found = {
        name: round(1000 * ordered[min(last, int(q * len(ordered)))], 1)
        for name, q in places.items()
    }
    return {"n": len(ordered), **found}
