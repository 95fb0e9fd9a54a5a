"""`demo`: plant two data sets with known faults, import them, start training and checks."""

import secrets
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from labeling import queries, tasks
from labeling.management.job_command import JobCommand
from labeling.models import Dataset, Role, User
from labeling.services import jobs
from labeling.services.intake import importing
from quality.services import demo, flags, runs

LOG_INS = {Role.OWNER: "lead", Role.REVIEWER: "reviewer", Role.ANNOTATOR: "annotator"}
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
        there = Dataset.objects.filter(slug__in=demo.PLANTERS).values_list("slug", flat=True)
        if there:
            raise CommandError(f"There are datasets named {', '.join(there)} already.")
        if settings.BIND not in PRIVATE_BINDS:
            raise CommandError(
                "WINNOW_BIND is public: the demo's log-ins are never made there. "
                "Make yourself with manage.py createsuperuser, or bind to 127.0.0.1."
            )
        passwords, people = self.people()
        done = {slug: self.load(slug, seed, people, here=here) for slug in demo.PLANTERS}
        if passwords:
            lines = [f"  {name:<10} {password}" for name, password in passwords.items()]
            self.stderr.write("Demo log-ins, printed this once:\n" + "\n".join(lines))
        words = "\n".join(f"{slug}: {figures['imported']} items" for slug, figures in done.items())
        self.report(options, {"datasets": done, "log_ins": passwords}, words)

    def people(self) -> tuple[dict[str, str], dict[str, User]]:
        """Make the demo's users; only those made now get, and show, a password."""
        passwords: dict[str, str] = {}
        people: dict[str, User] = {}
        for role, name in LOG_INS.items():
            user = User.objects.filter(username=name).first()
            if user is None:
                passwords[name] = secrets.token_urlsafe(9)
                user = User.objects.create_user(name, password=passwords[name])
            people[role] = user
        return passwords, people

    def load(self, slug: str, seed: int, people: dict[str, User], *, here: bool) -> dict[str, Any]:
        """Plant, import and start the first training of one data set."""
        self.stderr.write(f"Planting {slug} ...")
        plan = demo.plant(slug, seed=seed)
        dataset, job = demo.open_demo(plan=plan, people=people)
        result = self.carry_out(job, importing.import_upload).result
        if plan.annotations_csv:
            call_command("import_annotations", slug, str(plan.annotations_csv), verbosity=0)
        demo.open_first_round(dataset=dataset, people=people)
        train = jobs.open_job(kind="train", dataset=dataset, by=people[Role.OWNER], queue="train")
        if here or not queries.workers_alive():
            self.carry_out(train, runs.train)
            checks = jobs.open_job(kind="detect", dataset=dataset, queue="train")
            self.carry_out(checks, flags.raise_flags)
        else:
            tasks.send(train)
        return {key: result[key] for key in ("imported", "rejected", "odd")}
