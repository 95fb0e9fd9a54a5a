"""`manage.py up`: migrate, Redis, web, two workers and beat, ended together by one Ctrl-C.

A part that ends by itself is started again; the work that it did goes on where it was.
"""

import fcntl
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from config import interrupt, redis_server
from config.parts import Part, end_together, start_process
from labeling.models import Dataset, User
from labeling.services import jobs

FIRST_PORT = 8000
WEB_START_SECONDS = 60
ANSWER_SECONDS = 2
TEND_SECONDS = 0.5
CHILD_MEMORY_KB = 1_000_000  # TensorFlow grows about 150 MB a training: replace the child
PRIVATE = ("127.0.0.1", "localhost", "::1")


class Command(BaseCommand):
    help = "Start everything: web, workers, beat and a private Redis"
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=FIRST_PORT)
        parser.add_argument("--no-demo", action="store_true", help="do not load the demo at first")

    def handle(self, *, port: int, no_demo: bool, **options: Any) -> None:
        self.parts: dict[str, Part] = {}
        self.loading: subprocess.Popen[bytes] | None = None
        with self.only_one() as _lock:
            is_migrated = self.is_migrated()  # a database may be long in answering: see manage.py
            interrupt.listen()
            try:
                if not is_migrated:
                    self.migrate()
                self.start(port=port, no_demo=no_demo)
                self.tend_until(lambda: False)
            except KeyboardInterrupt:
                pass
            finally:
                self.end()

    def only_one(self) -> IO[str]:
        """Hold a lock on the data folder; a second `up` on it is refused."""
        lock = (settings.DATA_DIR / "up.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(
                f"Winnow is running already on {settings.DATA_DIR}. "
                "Stop it with Ctrl-C where it runs, or set WINNOW_DATA to another folder."
            ) from None
        return lock

    def start(self, *, port: int, no_demo: bool) -> None:
        """Start all parts in order, saying what is waited for."""
        half_a_demo = (settings.DATA_DIR / "demo" / "unfinished").exists()
        wants_demo = not no_demo and (
            half_a_demo or not (User.objects.exists() or Dataset.objects.exists())
        )
        environment = {**os.environ, "REDIS_URL": self.redis(), "CELERY_SKIP_CHECKS": "1"}
        wanted, port = port, redis_server.free_port(wanted=port, host=settings.BIND)
        if port != wanted:
            self.say(f"Port {wanted} is taken by another program: using {port}.")
        address = f"http://{_host(settings.BIND)}:{port}/"
        self.run("web", _uvicorn(settings.BIND, port), environment | {"MALLOC_ARENA_MAX": "2"})
        self.run(
            "worker", _celery("worker", "-Q", "default", "-c", "2", "-n", "default@%h"), environment
        )
        self.say("Waiting for the first page ...")
        self.wait_for_web(address)
        # What the first page does not need starts after it.
        limit = f"--max-memory-per-child={CHILD_MEMORY_KB}"
        self.run(
            "trainer",
            _celery("worker", "-Q", "train", "-c", "1", "-n", "train@%h", limit),
            environment,
        )
        self.run("beat", _celery("beat"), environment)
        if wants_demo:
            self.demo(environment, address=address)
        elif not User.objects.exists():
            self.say("Nobody has an account here yet: manage.py createsuperuser makes the first.")
        connections.close_all()
        self.weights()
        self.say(
            f"\nWinnow is ready: {address}\nLogs: {settings.DATA_DIR}/logs\nCtrl-C ends everything."
        )

    def weights(self) -> None:
        """Say which pretrained weights were found where WINNOW_WEIGHTS names a folder."""
        if settings.WEIGHTS_DIR is None:
            return
        from mlcore.features.weights import MOBILENET_FILE, YAMNET_FILE, find_weights

        for media, name in (("images", MOBILENET_FILE), ("sounds", YAMNET_FILE)):
            found = find_weights(name, (settings.WEIGHTS_DIR,))
            self.say(f"Weights for {media}: {found or f'{name} is not in WINNOW_WEIGHTS'}")

    def is_migrated(self) -> bool:
        """Tell whether nothing waits to be migrated; a tenth of the time of migrating nothing."""
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())

    def migrate(self) -> None:
        self.say("Preparing the database ...")
        call_command("migrate", verbosity=0, interactive=False)

    def redis(self) -> str:
        """Return the address of Redis, started here unless REDIS_URL names one."""
        written = settings.DATA_DIR / "redis.url"
        if os.environ.get("REDIS_URL"):
            written.unlink(missing_ok=True)
            self.say("Waiting for Redis at REDIS_URL ...")
            try:
                redis_server.wait_for(settings.REDIS_URL, pause=interrupt.pause)
            except TimeoutError:
                raise CommandError("REDIS_URL: nothing answers there. Is Redis running?") from None
            return settings.REDIS_URL
        self.say("Starting Redis ...")
        try:
            command, url = redis_server.configure(settings.DATA_DIR / "redis")
            self.run("redis", command, dict(os.environ))
            redis_server.wait_for(url, self.parts["redis"].process, pause=interrupt.pause)
        except (FileNotFoundError, ChildProcessError, TimeoutError) as error:
            raise CommandError(str(error)) from None
        written.touch(mode=0o600)
        written.write_text(url)
        return url

    def run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        """Start one part; what it prints goes to its log."""
        folder = Path(settings.DATA_DIR) / "logs"
        folder.mkdir(exist_ok=True)
        self.parts[name] = Part(name, command, environment=environment, log=folder / f"{name}.log")

    def wait_for_web(self, address: str) -> None:
        ends = time.monotonic() + WEB_START_SECONDS
        while time.monotonic() < ends:
            if self.parts["web"].has_ended:
                lines = self.parts["web"].last_lines()
                raise CommandError("The web process ended at once:\n" + lines)
            try:
                urllib.request.urlopen(address + "healthz", timeout=ANSWER_SECONDS)
            except (urllib.error.URLError, TimeoutError):
                interrupt.pause(0.1)
            else:
                return
        raise CommandError(f"The web process did not answer within {WEB_START_SECONDS} s.")

    def demo(self, environment: dict[str, str], *, address: str) -> None:
        """Load the demo; its log-ins are printed once, and never made on a public address."""
        if settings.BIND not in PRIVATE:
            self.say(
                "Demo not loaded: WINNOW_BIND is public. Make yourself: manage.py createsuperuser"
            )
            return
        self.say(
            f"The pages are at {address}\n"
            "Loading the demo (about a minute); its log-ins are printed here ..."
        )
        manage = str(Path(settings.BASE_DIR) / "manage.py")
        loading = self.loading = start_process([sys.executable, manage, "demo"], environment)
        self.tend_until(lambda: loading.poll() is not None)

    def tend_until(self, is_over: Callable[[], bool]) -> None:
        """Start parts that ended by themselves again; one that keeps ending is an error."""
        while not is_over():
            for name, part in self.parts.items():
                if not part.has_ended:
                    continue
                status = part.process.returncode
                if part.is_hopeless:
                    raise CommandError(
                        f"{name} keeps ending, now with status {status}:\n{part.last_lines()}"
                    )
                self.say(f"{name} ended with status {status} and is started again: {part.log}")
                part.start_again()
            interrupt.pause(TEND_SECONDS)

    def end(self) -> None:
        """End every part; the broker last, so that workers can hand their messages back."""
        self.say("\nEnding ...")
        if self.loading:
            self.loading.kill()  # goes on at the next start
            self.loading.wait()
        broker = self.parts.pop("redis", None)
        end_together(list(self.parts.values()))
        if broker:
            end_together([broker])
        with suppress(DatabaseError):  # without a database the leases run out by themselves
            jobs.release_dead_leases(is_blamed=False)
        self.say("Ended. Work that was under way goes on at the next start.")

    def say(self, words: str) -> None:
        with suppress(OSError):  # the terminal may be gone; Winnow goes on, or ends in order
            self.stdout.write(words)
            self.stdout.flush()


def _host(bind: str) -> str:
    return {"0.0.0.0": "localhost", "::": "localhost", "::1": "[::1]"}.get(bind, bind)


def _uvicorn(bind: str, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "config.asgi:application"),
        *("--host", bind, "--port", str(port), "--log-level", "warning"),
        *("--timeout-graceful-shutdown", "3", "--lifespan", "off"),
    ]


def _celery(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", "config", *arguments, "--loglevel=WARNING"]
