"""A data folder from before the pixel hashes were XXH3 gets those that new files have."""

import hashlib
import io
from importlib import import_module

import numpy as np
import pytest
from django.apps import apps
from PIL import Image

from labeling import storage
from labeling.models import Content
from mlcore.files import Measured
from mlcore.images import measure_image
from mlcore.riff import pcm16_wav
from mlcore.sounds import measure_sound
from mlcore.texts import measure_text

RNG = np.random.default_rng(1)
hash_again = import_module("labeling.migrations.0033_pixel_hash_xxh3").hash_again


def png() -> bytes:
    out = io.BytesIO()
    Image.fromarray(RNG.integers(0, 256, (40, 50, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def keep(found: Measured, *, text: str = "") -> Content:
    """Save a content as it was of old: hashed by sha256."""
    old = hashlib.sha256(found.sha256.encode()).hexdigest()
    row = Content(sha256=found.sha256, type=found.type, mime=found.mime, size=found.size)
    row.pixel_hash, row.text = old, text
    row.save()
    return row


@pytest.mark.django_db
def test_stored_hashes_are_made_anew_and_then_match_those_of_new_files():
    text, contents = "Where is my card?", [png(), png(), png()]
    wav = pcm16_wav(RNG.normal(0, 0.1, (8_000, 1)), 16_000)
    measured = [measure_image(content, "") for content in contents]
    measured += [measure_sound(wav, ""), measure_text(text)]
    rows = [keep(found) for found in measured[:4]] + [keep(measured[4], text=text)]
    for content in [*contents[1:], wav]:  # the bytes of the first are gone
        storage.write_bytes(content)
    new = Content.objects.create(sha256="0" * 64, type="png", size=1, pixel_hash="1" * 32)

    hash_again(apps, None)

    told = [Content.objects.get(pk=row.pk).pixel_hash for row in (*rows, new)]
    assert told == ["", *(found.pixel_hash for found in measured[1:]), "1" * 32]
    assert {len(hash_) for hash_ in told[1:]} == {32}
