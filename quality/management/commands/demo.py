"""`demo`: plant two data sets with known faults, import them, start training and checks."""

import secrets
import time
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from labeling import queries, tasks
from labeling.management.job_command import JobCommand
from labeling.models import Dataset, Job, JobState, Role, User
from labeling.queries.settling import IMPORTED
from labeling.services import jobs
from labeling.services.intake import importing
from quality.services import demo, flags, runs

LOG_INS = {Role.OWNER: "lead", Role.REVIEWER: "reviewer", Role.ANNOTATOR: "annotator"}
OPERATOR = "operator"  # sees the page System; a member of nothing
WAIT_SECONDS = 1.0
PRIVATE_BINDS = ("127.0.0.1", "localhost", "::1")


class Command(JobCommand):
    help = "Load the demo: real digits and key tones with planted faults."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--seed", type=int, default=1)
        parser.add_argument(
            "--here", action="store_true", help="train and check in this process, not in workers"
        )

    def handle(self, *args: Any, seed: int, here: bool, **options: Any) -> None:
        begun = demo.begun_seed()  # of one that was interrupted, and goes on
        seed = seed if begun is None else begun
        there = Dataset.objects.filter(slug__in=demo.PLANTERS).values_list("slug", flat=True)
        if there and begun is None:
            raise CommandError(f"There are datasets named {', '.join(there)} already.")
        if settings.BIND not in PRIVATE_BINDS:
            raise CommandError(
                "WINNOW_BIND is public: the demo's log-ins are never made there. "
                "Make yourself with manage.py createsuperuser, or bind to 127.0.0.1."
            )
        demo.note_begun(seed=seed)
        passwords, people = self.people()
        if passwords:
            lines = [f"  {name:<10} {password}" for name, password in passwords.items()]
            self.stderr.write("Demo log-ins, printed this once:\n" + "\n".join(lines))
        done = {slug: self.load(slug, seed, people, here=here) for slug in demo.PLANTERS}
        demo.note_finished()
        words = "\n".join(f"{slug}: {figures['imported']} items" for slug, figures in done.items())
        self.report(options, {"datasets": done, "log_ins": passwords}, words)

    def people(self) -> tuple[dict[str, str], dict[str, User]]:
        """Make the demo's users; only those made now get, and show, a password."""
        names = [*LOG_INS.values(), OPERATOR]
        there = {user.username: user for user in User.objects.filter(username__in=names)}
        passwords = {name: secrets.token_urlsafe(9) for name in names if name not in there}
        for name, password in passwords.items():
            there[name] = User.objects.create_user(
                name, password=password, is_staff=name == OPERATOR
            )
        return passwords, {role: there[name] for role, name in LOG_INS.items()}

    def load(self, slug: str, seed: int, people: dict[str, User], *, here: bool) -> dict[str, Any]:
        """Plant, import and start the first training of one data set; goes on where it was."""
        self.stderr.write(f"Planting {slug} ...")
        plan = demo.plant(slug, seed=seed)
        dataset, job = demo.opened(slug) or demo.open_demo(plan=plan, people=people)
        result = self.imported(job).result
        if plan.annotations_csv:
            call_command("import_annotations", slug, str(plan.annotations_csv), verbosity=0)
        if not dataset.rounds.exclude(purpose=IMPORTED).exists():
            demo.open_first_round(dataset=dataset, people=people)
        if not dataset.jobs.filter(kind="train").exists():
            self.train(dataset, people[Role.OWNER], here=here)
        return {key: result[key] for key in ("imported", "rejected", "odd")}

    def imported(self, job: Job) -> Job:
        """Carry out an import, or wait for the worker that took it over from a killed command."""
        while job.is_open:
            try:
                return self.carry_out(job, importing.import_upload)
            except CommandError:
                job.refresh_from_db()
                if not job.is_open:
                    break
                time.sleep(WAIT_SECONDS)
        if job.state != JobState.DONE:
            return self.carry_out(jobs.retry_job(job=job), importing.import_upload)
        return job

    def train(self, dataset: Dataset, owner: User, *, here: bool) -> None:
        """Start the first training, or do it and its checks here."""
        job = jobs.open_job(kind="train", dataset=dataset, by=owner, queue="train")
        if here or not queries.workers_alive():
            self.carry_out(job, runs.train)
            checks = jobs.open_job(kind="detect", dataset=dataset, queue="train")
            self.carry_out(checks, flags.raise_flags)
        else:
            tasks.send(job)
