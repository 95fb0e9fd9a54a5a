"""Make stored pixel hashes anew: they were sha256 (64 digits), which match none of the new ones.

Every content is measured once more, as at its import. What was done stays done: interrupted, it
goes on with the rest. Decoders are imported where they are used, for every start reads this file.
"""

import itertools

from django.conf import settings
from django.db import migrations
from django.db.models.functions import Length

from labeling import storage

ROWS = 100
OLD_DIGITS = 64


def _files(rows):
    """Yield the bytes of contents, one after the other; none where they are gone."""
    for row in rows:
        try:
            yield storage.read_bytes(row.sha256), ""
        except FileNotFoundError:
            yield b"", ""


def _pictures(rows):
    from mlcore.images import measure_images

    return measure_images(_files(rows), most_bytes=settings.MOST_MEMBER_BYTES)


def _sounds(rows):
    from mlcore.sounds import measure_sounds

    return measure_sounds(_files(rows), most_bytes=settings.MOST_MEMBER_BYTES)


def _texts(rows):
    from mlcore.files import UnusableFile
    from mlcore.texts import measure_text

    return [measure_text(row.text) if row.text else UnusableFile("zero_bytes", "") for row in rows]


def hash_again(apps, schema_editor):
    """Hash what each content shows or sounds like; what cannot be read has no hash any longer."""
    from mlcore.files import IMAGE_TYPES, SOUND_TYPES, Measured

    contents = apps.get_model("labeling", "Content").objects
    old = contents.annotate(digits=Length("pixel_hash")).filter(digits=OLD_DIGITS)
    n_old, done = old.count(), itertools.count(ROWS, ROWS)
    for kinds, measure in ((IMAGE_TYPES, _pictures), (SOUND_TYPES, _sounds), ({"text"}, _texts)):
        while rows := list(old.filter(type__in=kinds)[:ROWS]):
            for row, found in zip(rows, measure(rows), strict=True):
                row.pixel_hash = found.pixel_hash if isinstance(found, Measured) else ""
            contents.bulk_update(rows, ["pixel_hash"])
            print(f"Hashed {min(next(done), n_old):,} of {n_old:,} files once more ...", flush=True)


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("labeling", "0032_files_changed_more")]

    operations = [migrations.RunPython(hash_again, migrations.RunPython.noop)]
