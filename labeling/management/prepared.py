"""Commands that find their tables: made in a new data folder, asked for in an old one."""

from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

EARLIER = (
    "The database is of an earlier version of Winnow. End what runs on it, then: "
    "manage.py migrate (make run does it by itself)."
)


class PreparedCommand(BaseCommand):
    """A command that looks at the database first, so that a missing table is no traceback."""

    def execute(self, *args: Any, **options: Any) -> str | None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            if executor.loader.applied_migrations:
                raise CommandError(EARLIER)
            self.stderr.write("Preparing the database ...")
            call_command("migrate", verbosity=0)
        return super().execute(*args, **options)


def what_the_database_lacks(error: DatabaseError) -> str:
    """Return what to do about an error of a command that does not prepare; empty if unknown."""
    named = settings.DATABASES["default"]["NAME"]
    if "readonly" in str(error):
        return f"The database {named} can be read, but not written to: {error}."
    try:
        executor = MigrationExecutor(connection)
        is_waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError:
        return f"The database {named} cannot be used: {error}. Is DATABASE_URL right?"
    if is_waiting and executor.loader.applied_migrations:
        return EARLIER
    if is_waiting:
        return f"The database {named} has no tables yet. First: manage.py migrate"
    return ""
