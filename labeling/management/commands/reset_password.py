"""manage.py reset_password USER: for somebody who forgot theirs or is locked out."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from labeling.models import User
from labeling.services.passwords import reset_password


class Command(BaseCommand):
    """Print a new random password once; the person changes it under Account."""

    help = "Give a user a new random password, and end a lock-out."
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the name that the person logs in with")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(f"There is no user {options['user']!r}.")
        password = reset_password(user=user)
        self.stdout.write(password)
        self.stderr.write(
            f"{user.username} logs in with this once and changes it under Account, Change password."
        )
