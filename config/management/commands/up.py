"""`manage.py up`: migrate, Redis, web, two workers and beat, ended together by one Ctrl-C."""

import fcntl
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from config import redis_server
from labeling.models import Dataset, User

FIRST_PORT = 8000
WEB_START_SECONDS = 60
STOP_SECONDS = 15
CHILD_MEMORY_KB = 1_000_000  # TensorFlow grows about 150 MB a training: replace the child
MOST_LOG_BYTES = 20 * 2**20
PRIVATE = ("127.0.0.1", "localhost", "::1")


class Command(BaseCommand):
    help = "Start everything: web, workers, beat and a private Redis"
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=int, default=FIRST_PORT)
        parser.add_argument("--no-demo", action="store_true", help="do not load the demo at first")

    def handle(self, *, port: int, no_demo: bool, **options: Any) -> None:
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        with self.only_one() as _lock:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _interrupt)
            try:
                self.start(port=port, no_demo=no_demo)
                self.watch()
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
        self.say("Preparing the database ...")
        call_command("migrate", verbosity=0, interactive=False)
        is_first = not User.objects.exists()
        environment = {**os.environ, "REDIS_URL": self.redis()}
        wanted, port = port, redis_server.free_port(wanted=port, host=settings.BIND)
        if port != wanted:
            self.say(f"Port {wanted} is taken by another program: using {port}.")
        address = f"http://{_host(settings.BIND)}:{port}/"
        self.run("web", _uvicorn(settings.BIND, port), environment)
        worker = [sys.executable, "-m", "celery", "-A", "config", "worker", "--loglevel=WARNING"]
        self.run("worker", [*worker, "-Q", "default", "-c", "2", "-n", "default@%h"], environment)
        train = ["-Q", "train", "-c", "1", "-n", "train@%h"]
        limit = f"--max-memory-per-child={CHILD_MEMORY_KB}"
        self.run("trainer", [*worker, *train, limit], environment)
        beat = [sys.executable, "-m", "celery", "-A", "config", "beat", "--loglevel=WARNING"]
        self.run("beat", beat, environment)
        self.say("Waiting for the first page ...")
        self.wait_for_web(address)
        if is_first and not no_demo:
            self.demo(environment, address=address)
        self.say(
            f"\nWinnow is ready: {address}\nLogs: {settings.DATA_DIR}/logs\nCtrl-C ends everything."
        )

    def redis(self) -> str:
        """Return the address of Redis, started here unless REDIS_URL names one."""
        written = settings.DATA_DIR / "redis.url"
        if os.environ.get("REDIS_URL"):
            written.unlink(missing_ok=True)
            self.say("Waiting for Redis at REDIS_URL ...")
            try:
                redis_server.wait_for(settings.REDIS_URL)
            except TimeoutError:
                raise CommandError("REDIS_URL: nothing answers there. Is Redis running?") from None
            return settings.REDIS_URL
        self.say("Starting Redis ...")
        try:
            process, url = redis_server.start(settings.DATA_DIR / "redis")
        except (FileNotFoundError, ChildProcessError, TimeoutError) as error:
            raise CommandError(str(error)) from None
        self.children["redis"] = process
        written.touch(mode=0o600)
        written.write_text(url)
        return url

    def run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        # A session of its own, so that Ctrl-C reaches this process alone, which ends them in order.
        with self.log(name).open("ab") as log:
            self.children[name] = subprocess.Popen(
                command,
                env=environment,
                cwd=settings.BASE_DIR,
                start_new_session=True,
                stdout=log,
                stderr=log,
            )

    def log(self, name: str) -> Path:
        """Return the file that holds what a part prints; a large one is begun anew."""
        path = Path(settings.DATA_DIR) / "logs" / f"{name}.log"
        path.parent.mkdir(exist_ok=True)
        if path.exists() and path.stat().st_size > MOST_LOG_BYTES:
            path.replace(path.with_suffix(".old.log"))
        return path

    def last_lines(self, name: str) -> str:
        path = self.log(name)
        if not path.exists():
            return ""
        return "\n".join(path.read_text(errors="replace").splitlines()[-15:])

    def wait_for_web(self, address: str) -> None:
        ends = time.monotonic() + WEB_START_SECONDS
        while time.monotonic() < ends:
            if self.children["web"].poll() is not None:
                raise CommandError("The web process ended at once:\n" + self.last_lines("web"))
            try:
                urllib.request.urlopen(address + "healthz", timeout=5)
            except (urllib.error.URLError, TimeoutError):
                time.sleep(0.1)
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
        if Dataset.objects.exists():
            return
        self.say(
            f"The pages are at {address}\n"
            "Loading the demo (about a minute); its log-ins are printed here ..."
        )
        manage = str(Path(settings.BASE_DIR) / "manage.py")
        subprocess.run([sys.executable, manage, "demo"], env=environment, check=False)

    def watch(self) -> None:
        """Return when a part ends by itself; that is an error."""
        while True:
            for name, process in self.children.items():
                if process.poll() is not None:
                    raise CommandError(
                        f"{name} ended with status {process.returncode}:\n{self.last_lines(name)}"
                    )
            time.sleep(0.5)

    def end(self) -> None:
        """End every part; the broker last, so that workers can hand their messages back."""
        self.say("\nEnding ...")
        redis = self.children.pop("redis", None)
        _end_together(list(self.children.values()))
        if redis:
            _end_together([redis])
        self.say("Ended. Work that was under way goes on at the next start.")

    def say(self, words: str) -> None:
        self.stdout.write(words)
        self.stdout.flush()


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _end_together(processes: list["subprocess.Popen[bytes]"]) -> None:
    for process in processes:
        if process.poll() is None:
            process.terminate()
    ends = time.monotonic() + STOP_SECONDS
    for process in processes:
        try:
            process.wait(timeout=max(0.1, ends - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def _host(bind: str) -> str:
    return {"0.0.0.0": "localhost", "::": "localhost", "::1": "[::1]"}.get(bind, bind)


def _uvicorn(bind: str, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "config.asgi:application"),
        *("--host", bind, "--port", str(port), "--log-level", "warning"),
        *("--timeout-graceful-shutdown", "3", "--lifespan", "off"),
    ]
