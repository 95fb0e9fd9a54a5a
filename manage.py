#!/usr/bin/env python
"""Winnow's commands."""

import os
import signal
import sys


def main() -> None:
    """Carry out the command; what an operator can mend ends in words, not in a traceback."""
    if sys.argv[1:2] == ["up"]:
        # Until it listens, an interrupt ends it at once, as nothing was started yet; also where a
        # shell put it in the background, which lets it ignore Ctrl-C.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import DatabaseError

    try:
        execute_from_command_line(sys.argv)
    except (ImproperlyConfigured, PermissionError) as wrong:
        sys.exit(str(wrong))
    except DatabaseError as error:
        from labeling.management.prepared import what_the_database_lacks

        if words := what_the_database_lacks(error):
            sys.exit(words)
        raise


if __name__ == "__main__":
    main()
