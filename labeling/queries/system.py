"""What operators look at: workers, queues, jobs, disk, versions."""

import os
import platform
import time
import tomllib
from dataclasses import dataclass, field
from datetime import datetime
from importlib import metadata
from pathlib import Path

import django
import redis
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, connection
from django.db.models import Count, Exists, Min, OuterRef, QuerySet

from labeling import queries, storage
from labeling.models import Job, JobState
from mlcore.features import weights

QUEUES = ("default", "train")
FAILED_SHOWN = 20
RUNNING_SHOWN = 20
DISK_KEPT_SECONDS = 60
MOST_FILES_WALKED = 300_000  # of one folder; more is said as "at least"
MOST_SECONDS_WALKED = 2.0
WARN_BELOW = 4  # times the space that must stay free
FOLDERS = {
    "media": "Items, previews, versions",
    "features": "Vectors and neighbours",
    "runs": "Predictions of runs",
    "comparisons": "Before/After",
    "crowd": "What was measured of crowds",
    "uploads": "Uploads not imported yet",
    "demo": "Planted files of the demo",
    "redis": "Queue",
    "logs": "Logs",
    "tmp": "Requests under way",
}
WHAT_TO_FREE = {
    "uploads": "Finish or delete imports that never started: folders in uploads/ by their number.",
    "logs": "Old logs: delete logs/*.old.log.",
    "features": "Vectors are made anew when needed: delete folders of networks no longer used.",
}


@dataclass(frozen=True)
class Worker:
    """A worker with a recent heartbeat."""

    name: str
    queues: str


@dataclass(frozen=True)
class Queue:
    """What waits on one queue: messages in Redis, and waiting jobs by their rows."""

    name: str
    messages: int | None
    jobs: int
    oldest: datetime | None
    workers: int | None


@dataclass(frozen=True)
class Used:
    """How much one kind of files takes."""

    name: str
    words: str
    bytes: int
    is_all: bool = True
    hint: str = ""


@dataclass(frozen=True)
class Disk:
    """What is used and what is left."""

    used: list[Used]
    free: int
    least: int

    @property
    def is_full(self) -> bool:
        return self.free < self.least

    @property
    def is_tight(self) -> bool:
        return self.free < self.least * WARN_BELOW

    @property
    def hints(self) -> list[str]:
        """What to free, what takes most first."""
        return [kind.hint for kind in self.used if kind.hint and kind.bytes]


@dataclass(frozen=True)
class Broker:
    """What Redis says; nothing when it does not answer."""

    answers: bool
    version: str = ""
    workers: list[Worker] = field(default_factory=list)
    lengths: dict[str, int] = field(default_factory=dict)


def broker() -> Broker:
    """Ask Redis once for workers and queues."""
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1, decode_responses=True
    )
    try:
        keys = sorted(client.scan_iter(match=queries.WORKER_KEY + "*", count=100))
        found = client.mget(keys) if keys else []
        lengths = {name: int(client.llen(name)) for name in QUEUES}
        version = str(client.info("server")["redis_version"])
    except redis.RedisError:
        return Broker(answers=False)
    finally:
        client.close()
    workers = [
        Worker(str(key).removeprefix(queries.WORKER_KEY), str(value or ""))
        for key, value in zip(keys, found)
    ]
    return Broker(answers=True, version=version, workers=workers, lengths=lengths)


def queue_states(at: Broker) -> list[Queue]:
    """Return every queue with what waits on it and who works on it."""
    waiting = Job.objects.filter(state=JobState.QUEUED).values_list("queue")
    rows = {
        name: (n, oldest) for name, n, oldest in waiting.annotate(Count("pk"), Min("created_at"))
    }
    listening = [name for worker in at.workers for name in worker.queues.split(",")]
    return [
        Queue(
            name=name,
            messages=at.lengths.get(name),
            jobs=rows.get(name, (0, None))[0],
            oldest=rows.get(name, (0, None))[1],
            workers=listening.count(name) if at.answers else None,
        )
        for name in QUEUES
    ]


def running_jobs() -> QuerySet[Job]:
    """Jobs under way, oldest first."""
    rows = Job.objects.filter(state=JobState.RUNNING).select_related("dataset", "by")
    return rows.order_by("started_at")[:RUNNING_SHOWN]


def failed_jobs() -> QuerySet[Job]:
    """The last jobs that failed and were not tried again."""
    later = Job.objects.filter(
        dataset=OuterRef("dataset"), kind=OuterRef("kind"), pk__gt=OuterRef("pk")
    )
    rows = Job.objects.filter(state=JobState.FAILED).exclude(Exists(later))
    return rows.select_related("dataset", "by").order_by("-pk")[:FAILED_SHOWN]


def disk() -> Disk:
    """Return what is used by kind (a minute old at most) and what is left now."""
    used = cache.get("disk-used")
    if used is None:
        used = sorted([_database(), *_folders()], key=lambda kind: -kind.bytes)
        cache.set("disk-used", used, DISK_KEPT_SECONDS)
    return Disk(used, free=storage.free_bytes(), least=settings.LEAST_FREE_BYTES)


def _folders() -> list[Used]:
    root = Path(settings.DATA_DIR)
    return [
        Used(name, words, *size_of(root / name), hint=WHAT_TO_FREE.get(name, ""))
        for name, words in FOLDERS.items()
        if (root / name).is_dir()
    ]


def size_of(folder: Path) -> tuple[int, bool]:
    """Return the bytes below a folder, and whether the walk came to its end."""
    total, seen, waiting = 0, 0, [str(folder)]
    ends = time.monotonic() + MOST_SECONDS_WALKED
    while waiting:
        if seen > MOST_FILES_WALKED or time.monotonic() > ends:
            return total, False
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except FileNotFoundError:  # written or removed while we look
            continue
    return total, True


def _database() -> Used:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_database_size(current_database())")
            return Used("database", "Database (PostgreSQL)", int(cursor.fetchone()[0]))
    path = Path(connection.settings_dict["NAME"])
    files = [path.with_name(path.name + ending) for ending in ("", "-wal", "-shm")]
    return Used("database", "Database", sum(f.stat().st_size for f in files if f.exists()))


def versions(at: Broker) -> list[tuple[str, str]]:
    """Return the versions of what works here; TensorFlow is looked up, never loaded."""
    return [
        ("Winnow", winnow_version()),
        ("Python", platform.python_version()),
        ("Django", django.get_version()),
        ("Celery", _installed("celery")),
        ("TensorFlow", _installed("tensorflow", "tensorflow-cpu")),
        ("Keras", _installed("keras")),
        (connection.display_name, ".".join(map(str, connection.get_database_version()))),
        ("Redis", at.version or "–"),
    ]


def winnow_version() -> str:
    """Return the version that pyproject.toml states."""
    with (Path(settings.BASE_DIR) / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _installed(*names: str) -> str:
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return "–"


@dataclass(frozen=True)
class WeightFile:
    """A pretrained network that Winnow can use, and where its file was found."""

    words: str
    name: str
    found: Path | None


def weight_files() -> list[WeightFile]:
    """Return which pretrained networks are there; without them the fallback serves."""
    folders = [settings.WEIGHTS_DIR, Path.home() / ".keras" / "models"]
    known = {
        "MobileNetV2 (images)": weights.MOBILENET_FILE,
        "YAMNet (sound)": weights.YAMNET_FILE,
    }
    return [
        WeightFile(words, name, weights.find_weights(name, folders))
        for words, name in known.items()
    ]


def health() -> dict[str, bool]:
    """Tell whether the database and Redis answer."""
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)
    try:
        redis_answers = bool(client.ping())
    except redis.RedisError:
        redis_answers = False
    finally:
        client.close()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return {"database": False, "redis": redis_answers}
    return {"database": True, "redis": redis_answers}
