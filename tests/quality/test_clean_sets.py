"""Every check leaves clean sets alone: at most one item in a hundred is marked, and no group."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from labeling.models import Dataset, Media
from mlcore.features.waves import read_wave, spectrogram_picture
from mlcore.images import measure_image
from mlcore.neighbours import nearest
from mlcore.sounds import measure_sound
from mlcore.texts import measure_text
from quality.detectors import KINDS
from quality.queries.survey import CONTENT_FIELDS, Survey
from tests.mlcore.test_duplicates import encoded, spoken
from tests.mlcore.test_images import saved
from tests.mlcore.test_odd_images import photo

N, CLASSES, SIZE = 80, ("cat", "dog", "owl"), 16
MARKED = 0.01
COPIES = "near_duplicate"  # the one check that compares each medium in a way of its own
CHECKS = [kind for kind in KINDS.values() if kind.find]
CASES = [(str(kind.media[0]), kind.name) for kind in CHECKS]


@cache
def clean(media: str) -> Survey:
    """Items in shuffled order, drawn alike, split by chance, with a model that is rightly sure."""
    rng = np.random.default_rng(8)
    labels = rng.integers(0, len(CLASSES), N)
    middles = rng.normal(size=(len(CLASSES), SIZE)) * 2.0
    vectors = middles[labels] + rng.normal(size=(N, SIZE))
    told = np.exp(-np.square(vectors[:, None] - middles).sum(axis=2) / 4.0)
    contents, pictures, texts = _contents(media)
    survey = Survey(
        dataset=Dataset(slug="clean", media=media),
        ids=list(range(N)),
        keys=[f"{place:03}" for place in rng.permutation(N)],
        hashes=list(contents),
        splits=rng.choice(["train", "validation", "test"], N, p=[0.6, 0.2, 0.2]),
        labels=labels,
        groups=[""] * N,
        odd=[[] for _ in range(N)],
        classes=list(CLASSES),
        contents=contents,
        metadata=[{"ward": str(ward)} for ward in rng.choice(["north", "south"], N)],
        probabilities=told / told.sum(axis=1, keepdims=True),
        graph=nearest(vectors),
        thumbnails=pictures,
        texts=texts,
    )
    survey.__dict__["vectors"] = vectors
    return survey


def _contents(media: str) -> tuple[dict[str, Any], np.ndarray | None, list[str] | None]:
    if media == Media.IMAGE:
        photos = [photo(seed) for seed in range(N)]
        measured = [measure_image(saved(one, quality=90), "a.jpg") for one in photos]
        pictures = np.stack([np.frombuffer(one.small_grey, np.uint8) for one in measured])
        return _rows(measured), pictures.astype(np.float32), None
    if media == Media.AUDIO:
        sounds = [encoded(spoken(seed), "WAV") for seed in range(N)]
        pictures = np.stack([spectrogram_picture(read_wave(sound)) for sound in sounds])
        return _rows([measure_sound(sound, "a.wav") for sound in sounds]), pictures, None
    rng = np.random.default_rng(2)
    words = np.array([f"{one}{two}" for one in "bdfglmnprst" for two in ("ala", "ero", "iku")])
    texts = [" ".join(rng.choice(words, 12, replace=False)) for _ in range(N)]
    return _rows([measure_text(text) for text in texts]), None, texts


def _rows(measured: list[Any]) -> dict[str, Any]:
    return {
        f"{place:064}": {name: getattr(one, name, "") for name in CONTENT_FIELDS}
        | {"phash": f"{one.phash or 0:016x}", "is_flat": one.flat}
        for place, one in enumerate(measured)
    }


@pytest.mark.parametrize(("media", "name"), [*CASES, ("audio", COPIES), ("text", COPIES)])
def test_a_clean_set_is_left_alone(media: str, name: str) -> None:
    kind = KINDS[name]
    doubts = [doubt for doubt in kind.find(clean(media)) if doubt.is_likely]
    if kind.about in ("item", "set"):
        assert len({row for doubt in doubts for row in doubt.rows}) <= MARKED * N
    else:
        assert [doubt.reason for doubt in doubts] == []
