"""`createsuperuser`: Django's own, which may be the first command on a data folder."""

from django.contrib.auth.management.commands import createsuperuser

from labeling.management.prepared import PreparedCommand


class Command(PreparedCommand, createsuperuser.Command):
    requires_migrations_checks = False  # it looks by itself
