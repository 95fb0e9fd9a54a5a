"""Vectors, small pictures and the one neighbour graph that the checks read."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from django.utils.translation import gettext as _

from labeling import shards, storage
from labeling.models import Media
from labeling.services.jobs import Work
from mlcore.alignment import SIDE
from mlcore.files import UnusableFile
from mlcore.images import small_grey
from mlcore.neighbours import NeighbourGraph, extended, nearest
from quality import arrays, graphs
from quality.models import Run
from quality.queries.survey import Survey, run_probabilities
from quality.services.features import backbone_named, backbones_for, extend_features
from quality.services.material import contents_of

if TYPE_CHECKING:
    from mlcore.features import Backbone

THUMBNAILS = {Media.IMAGE: shards.SMALL_GREY, Media.AUDIO: f"mel-{SIDE}"}
PICTURES_A_SHARE = 500


def complete(work: Work, survey: Survey, *, run: Run | None) -> Survey:
    """Add what the checks compare with: probabilities, neighbours, small pictures."""
    missing: dict[str, str] = {}
    if len(survey):
        survey = compared(work, survey, backbone=_backbone_of(survey, run))
    if run and not run.has_signal:
        missing["probabilities"] = _(
            "Run %(number)s found no signal, so its probabilities doubt no label: neighbours alone "
            "were asked."
        ) % {"number": run.number}
    told = run_probabilities(survey, run) if run and run.has_signal else {}
    return replace(
        survey,
        run=run,
        probabilities=told.get("probabilities"),
        uncalibrated=told.get("uncalibrated"),
        missing=missing,
    )


def with_vectors(work: Work, survey: Survey, *, run: Run | None) -> Survey:
    """Add the vectors alone, for what compares no items with each other."""
    backbone = _backbone_of(survey, run)
    work.progress(message="Looking at new items", now=True)
    extend_features(work, contents_of(survey.hashes), backbone=backbone)
    return replace(survey, backbone=backbone.name)


def _backbone_of(survey: Survey, run: Run | None) -> "Backbone":
    media = survey.dataset.media
    of_run = backbone_named(media, run.backbone) if run else None
    facts = (survey.contents[sha256]["facts"] for sha256 in survey.hashes)
    return of_run or backbones_for(media, facts)[0]


def compared(work: Work, survey: Survey, *, backbone: "Backbone") -> Survey:
    """Add what copies are found by: neighbours, small pictures of images and sounds, texts."""
    graph = neighbour_graph(work, survey, backbone=backbone)
    thumbnails = _thumbnails(work, survey) if survey.dataset.media in THUMBNAILS else None
    texts = _texts(survey) if survey.dataset.media == Media.TEXT else None
    return replace(survey, graph=graph, backbone=backbone.name, thumbnails=thumbnails, texts=texts)


def neighbour_graph(work: Work, survey: Survey, *, backbone: "Backbone") -> NeighbourGraph:
    """Return the graph over the survey's rows; built when contents changed."""
    distinct = list(dict.fromkeys(survey.hashes))
    graph = graphs.load_graph(survey.dataset.pk, backbone=backbone.name, hashes=distinct)
    if graph is None:
        work.progress(message="Looking at new items", now=True)
        extend_features(work, contents_of(distinct), backbone=backbone)
        work.progress(0, 0, message="Finding the nearest neighbours of every item", now=True)
        graph = _built(survey.dataset.pk, distinct, backbone=backbone.name)
        graphs.save_graph(survey.dataset.pk, graph, backbone=backbone.name, hashes=distinct)
    rows = {sha256: row for row, sha256 in enumerate(distinct)}
    return graph.expanded(np.array([rows[sha256] for sha256 in survey.hashes]))


def _built(dataset_id: int, hashes: list[str], *, backbone: str) -> NeighbourGraph:
    """Return the graph over these contents; what an earlier one holds is not searched again."""
    vectors = arrays.load_features(backbone, hashes)
    # A content that can no longer be read has no vector; zeros are near to nothing.
    np.nan_to_num(vectors, copy=False)
    earlier = graphs.newest_graph(dataset_id, backbone=backbone)
    if earlier is None:
        return nearest(vectors)
    _, known, graph = earlier
    row_of = {sha256: row for row, sha256 in enumerate(known)}
    old_rows = np.array([row_of.get(sha256, -1) for sha256 in hashes])
    return extended(graph, vectors, old_rows=old_rows)


def _texts(survey: Survey) -> list[str]:
    contents = contents_of(survey.hashes)
    read = {
        sha256: content.text or storage.read_bytes(sha256).decode(errors="replace")
        for sha256, content in contents.items()
    }
    return [read[sha256] for sha256 in survey.hashes]


def _thumbnails(work: Work, survey: Survey) -> np.ndarray:
    media = Media(survey.dataset.media)
    name = THUMBNAILS[media]
    known = arrays.known_contents(name)
    missing = sorted(set(survey.hashes) - known.keys())
    for start in range(0, len(missing), PICTURES_A_SHARE):
        work.progress(start, len(missing), message="Making small grey pictures to compare")
        work.check()
        part = missing[start : start + PICTURES_A_SHARE]
        if media == Media.IMAGE:
            greys = [small_grey(storage.read_bytes(sha256)) for sha256 in part]
            vectors = [np.frombuffer(grey, np.uint8) for grey in greys]
        else:
            vectors = [_spectrogram(storage.read_bytes(sha256)) for sha256 in part]
        shards.save_features(name, part, vectors=np.stack(vectors))
        work.keep()
    return arrays.load_features(name, survey.hashes)


def _spectrogram(content: bytes) -> np.ndarray:
    from mlcore.features.waves import read_wave, spectrogram_picture

    try:
        return spectrogram_picture(read_wave(content))
    except UnusableFile:  # can no longer be read: an even picture is alike to nothing
        return np.zeros(SIDE * SIDE, np.float32)
