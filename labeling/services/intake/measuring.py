"""One look at each file: read, hash, measure; and its bytes made durable."""

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from django.conf import settings

from labeling import shards, storage
from labeling.models import Content, Media
from labeling.services.intake.encodings import IS_WORKBOOK, UnreadableError, decoded, is_workbook
from labeling.services.intake.members import MemberError, Problem
from labeling.services.intake.reading import Candidate
from mlcore.files import MEASURED_BY, Measured, Oddity, UnusableFile, name_oddity, sha256_of
from mlcore.images import PICTURES_TOGETHER, measure_images
from mlcore.sounds import measure_sounds
from mlcore.texts import MOST_CHARACTERS, measure_text

# A picture that another dataset holds is known, and yet no sound.
KINDS: dict[str, str] = {Media.IMAGE: "image/", Media.AUDIO: "audio/", Media.TEXT: "text/"}
#: Bytes of files that are worth a thread: small ones, one after the other, take a quarter less
#: CPU than side by side, where most of the time goes to waiting for the interpreter's lock.
BYTES_A_THREAD = 2 * 2**20
#: Files that one thread measures together, at most: a few MB of one-second clips.
TOGETHER = {Media.IMAGE: PICTURES_TOGETHER, Media.AUDIO: 64}
MEASURES = {Media.IMAGE: measure_images, Media.AUDIO: measure_sounds}
MOST_TEXT_BYTES = 4 * MOST_CHARACTERS  # UTF-8 takes at most 4 a character


@dataclass(frozen=True)
class Opened:
    """A candidate with its content (a row, perhaps not yet saved), or with a problem."""

    candidate: Candidate
    content: Content | None = None
    problem: Problem | None = None

    @cached_property
    def odd(self) -> list[list[str]]:
        """What a person should know about the item: its bytes' oddities and its name's."""
        if self.content is None:
            return []
        by_name = _of_name(self.candidate, self.content.type)
        return [[o.code, o.reason] for o in by_name] + list(self.content.oddities)


def open_all(
    candidates: Sequence[Candidate], *, media: str, pool: ThreadPoolExecutor
) -> list[Opened]:
    """Read and measure candidates; contents that are known already are not measured again.

    When this returns, the bytes of every content lie durably in storage.
    """
    threads = min(storage.THREADS, 1 + sum(c.size for c in candidates) // BYTES_A_THREAD)
    loaded = storage.side_by_side(lambda c: _load(c, media), candidates, pool=pool, threads=threads)
    hashes = {one.sha256 for one in loaded if one.sha256}
    contents: dict[str, Content | Problem] = {
        content.sha256: content
        for content in Content.objects.filter(sha256__in=hashes, mime__startswith=KINDS[media])
    }
    new = {
        one.sha256: (one.raw, one.candidate)
        for one in loaded
        if one.sha256 and one.sha256 not in contents
    }
    contents |= _measured_rows(new, media, pool=pool, threads=threads)
    return [_opened(one.candidate, one.problem, contents.get(one.sha256)) for one in loaded]


def measured_anew(
    files: Mapping[str, tuple[bytes, str]], *, media: str, pool: ThreadPoolExecutor
) -> dict[str, Content | Problem]:
    """Return rows, not saved, of what files (with names, by sha256) measure as now.

    The previews, display copies and small pictures that they name lie in storage then.
    """
    new = {sha256: (raw, Candidate(name, name)) for sha256, (raw, name) in files.items()}
    threads = min(storage.THREADS, 1 + sum(len(raw) for raw, _ in new.values()) // BYTES_A_THREAD)
    return _measured_rows(new, media, pool=pool, threads=threads)


def _measured_rows(
    new: Mapping[str, tuple[bytes, Candidate]],
    media: str,
    *,
    pool: ThreadPoolExecutor,
    threads: int,
) -> dict[str, Content | Problem]:
    """Measure contents and store what their rows name; the rows themselves are not saved."""
    rows: dict[str, Content | Problem] = {}
    to_store: dict[str, bytes] = {}
    small: dict[str, bytes] = {}
    measured = _measure_all(list(new.values()), media, pool=pool, threads=threads)
    for (sha256, (raw, _)), found in zip(new.items(), measured, strict=True):
        if not isinstance(found, Measured):
            rows[sha256] = found
            continue
        rows[sha256], stored = _row_and_bytes(found, raw, sha256=sha256, media=media)
        to_store.update(stored)
        if found.small_grey:
            small[sha256] = found.small_grey
    storage.write_many(to_store, pool=pool)
    _keep_small(small)
    return rows


def _keep_small(small: dict[str, bytes]) -> None:
    """Keep the small grey pictures that checks compare; else each would be decoded once more."""
    if small:
        pictures = np.frombuffer(b"".join(small.values()), np.uint8).reshape(len(small), -1)
        shards.save_features(shards.SMALL_GREY, list(small), vectors=pictures)


def _opened(
    candidate: Candidate, problem: Problem | None, content: Content | Problem | None
) -> Opened:
    if isinstance(content, Content):
        return Opened(candidate, content)
    return Opened(candidate, None, problem or content)


@dataclass(frozen=True)
class Loaded:
    """A candidate with hash and bytes, or why there are none."""

    candidate: Candidate
    sha256: str = ""
    raw: bytes = b""
    problem: Problem | None = None


def _load(candidate: Candidate, media: str) -> Loaded:
    if candidate.problem or (candidate.read is None and candidate.text is None):
        return Loaded(candidate, problem=candidate.problem)
    if candidate.size > settings.MOST_MEMBER_BYTES:
        most = settings.MOST_MEMBER_BYTES // 2**20
        reason = f"The file has {candidate.size:,} bytes; at most {most} MiB are read."
        return Loaded(candidate, problem=("too_large", reason))
    try:
        raw = (
            candidate.read()
            if candidate.read
            else (candidate.text or "").encode("utf-8", "replace")
        )
    except MemberError as error:
        return Loaded(candidate, problem=error.problem)
    if is_workbook(raw):
        return Loaded(candidate, problem=("unreadable", IS_WORKBOOK))
    if media == Media.TEXT:
        return _load_text(candidate, raw)
    return Loaded(candidate, sha256_of(raw), raw)


def _load_text(candidate: Candidate, raw: bytes) -> Loaded:
    """Return a text as UTF-8, however its file is written; what was guessed is noted."""
    if len(raw) > MOST_TEXT_BYTES:
        reason = f"The text has {len(raw):,} bytes; at most {MOST_TEXT_BYTES:,} are read."
        return Loaded(candidate, problem=("too_large", reason))
    try:
        text, is_guessed = decoded(raw)
    except UnreadableError as error:
        reason = f"The text is neither UTF-8 nor Windows-1252: {error}. Save it as UTF-8."
        return Loaded(candidate, problem=("unreadable", reason))
    if is_guessed:
        note = ("not_utf8", "Not UTF-8: read as Windows-1252.")
        candidate = replace(candidate, notes=(*candidate.notes, note))
    whole = text.replace("\x00", "")  # PostgreSQL keeps no zero
    raw = unicodedata.normalize("NFC", whole).encode()
    return Loaded(candidate, sha256_of(raw), raw)


def _measure_all(
    new: Sequence[tuple[bytes, Candidate]], media: str, *, pool: ThreadPoolExecutor, threads: int
) -> list[Measured | Problem]:
    """Measure contents side by side, a few at a time, which is cheaper than one by one."""
    if media == Media.TEXT:
        return storage.side_by_side(_measure_text, new, pool=pool, threads=threads)
    size = min(TOGETHER[Media(media)], math.ceil(len(new) / threads)) or 1
    groups = [new[at : at + size] for at in range(0, len(new), size)]
    measured = storage.side_by_side(
        lambda group: _measure_group(group, media), groups, pool=pool, threads=threads
    )
    return [found for group in measured for found in group]


def _measure_group(
    group: Sequence[tuple[bytes, Candidate]], media: str
) -> list[Measured | Problem]:
    files = [(raw, candidate.name) for raw, candidate in group]
    found = MEASURES[Media(media)](files, most_bytes=settings.MOST_MEMBER_BYTES)
    return [(f.code, f.reason) if isinstance(f, UnusableFile) else f for f in found]


def _measure_text(one: tuple[bytes, Candidate]) -> Measured | Problem:
    try:
        return measure_text(one[0].decode())
    except UnusableFile as error:
        return (error.code, error.reason)


def _of_name(candidate: Candidate, kind: str) -> Iterable[Oddity]:
    return () if kind == "text" else name_oddity(candidate.name, kind)


def _row_and_bytes(
    found: Measured, raw: bytes, *, sha256: str, media: str
) -> tuple[Content, dict[str, bytes]]:
    """Return a row and what must lie in storage before it; texts lie in their row."""
    if media == Media.TEXT:
        return _content_row(found, sha256=sha256, text=raw.decode()), {}
    # Small pictures are their own preview, and hashed already.
    preview = sha256 if found.preview is raw else sha256_of(found.preview)
    stored = {sha256: raw, preview: found.preview}
    display = sha256_of(found.display) if found.display else ""
    if found.display:
        stored[display] = found.display
    return _content_row(found, sha256=sha256, preview=preview, display=display), stored


def _content_row(
    found: Measured, *, sha256: str, text: str = "", preview: str = "", display: str = ""
) -> Content:
    return Content(
        sha256=sha256,
        type=found.type,
        mime=found.mime,
        size=found.size,
        pixel_hash=found.pixel_hash,
        phash="" if found.phash is None else f"{found.phash:016x}",
        is_flat=found.flat,
        facts=found.facts,
        measured_by=MEASURED_BY,
        oddities=[[o.code, o.reason] for o in found.oddities if o.code != "wrong_extension"],
        text=text,
        preview=preview,
        preview_mime=found.preview_mime if preview else "",
        display=display,
        display_mime=found.display_mime,
    )
