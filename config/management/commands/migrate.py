"""`migrate`: Django's own, which ends in order and refuses the data folders of an older Winnow."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from config import interrupt

OLDER = (
    "This folder was made by an older Winnow; start commit 2a43939 once (git checkout 2a43939, "
    "make run), then this one."
)


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        executor = MigrationExecutor(connection)
        begun = {app for app, _ in executor.loader.applied_migrations}
        waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if any(first.initial and first.app_label in begun for first, _ in waiting):
            raise CommandError(OLDER)
        super().handle(*args, **options)

    def migration_progress_callback(self, action: str, *rest: Any, **named: Any) -> None:
        """End between two migrations: SQLite notes some only after it made them."""
        if action == "apply_start":
            interrupt.check()
        super().migration_progress_callback(action, *rest, **named)
