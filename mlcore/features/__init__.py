"""Turn contents into vectors: which backbones there are, and one call to run any of them.

Every backbone is fixed before the first item comes, so vectors made on different days mix.
A network without its trained weights cannot be chosen: a `Backbone` of a network exists only
with the file that it was found in (design, section 8: random weights do worse than raw pixels).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from mlcore.features import network, patches, waves, weights, words
from mlcore.features.pixels import decode_square
from mlcore.files import UnusableFile

NEEDS_MOBILENET = (
    "No pretrained network was found, so pictures are compared by edges and colours. For better "
    f"results put {weights.MOBILENET_FILE} into the folder that WINNOW_WEIGHTS names."
)
NEEDS_YAMNET = (
    "Made for spoken words. For other sounds put yamnet.tflite into the folder that "
    "WINNOW_WEIGHTS names."
)


class Stopped(Exception):  # noqa: N818  (no error: somebody asked for it)
    """The caller's `should_stop` said yes."""


@dataclass(frozen=True)
class Backbone:
    """One way to turn contents into vectors; the name says network, weights and preprocessing.

    `note` is empty, or says in plain words what the backbone falls short of and what helps.
    `weights` is the file it runs on; None where it needs none. `side` is that of the squares
    that a network looks at, in pixels; 0 where the backbone has one way for all sizes. `of` names
    the backbone whose maps below its last block these are, for fine-tuning; else empty.
    """

    name: str
    title: str
    dimensions: int
    pretrained: bool
    note: str = ""
    weights: Path | None = field(default=None, compare=False)
    side: int = field(default=0, compare=False)
    of: str = ""


def choose_backbones(
    media: str,
    *,
    weights_folder: Path | None,
    keras_cache: Path | None = None,
    native_side: float | None = None,
) -> list[Backbone]:
    """Return the backbones that can run here, best first.

    Parameters
    ----------
    media : {"image", "audio", "text"}
    weights_folder : Path or None
        Searched for weight files by name, with all folders below.
    keras_cache : Path or None
        Searched next; `~/.keras` where None.
    native_side : float, optional
        Typical shorter side of the pictures in pixels; small ones are not enlarged as far.

    Returns
    -------
    list of Backbone
        Never empty. For sound the second serves sounds that are no speech: choose by
        group-aware cross-validation.
    """
    known = known_backbones(media, weights_folder=weights_folder, keras_cache=keras_cache)
    side = network.side_for(native_side)
    return [one for one in known if not one.of and one.side in (0, side)]


def maps_of(backbone: Backbone) -> Backbone | None:
    """Return what makes the maps that fine-tuning begins at; None where there is no network."""
    if not backbone.side or backbone.of:
        return None
    return replace(
        backbone,
        name=f"{backbone.name}-maps15",
        title=f"{backbone.title}, below its last block",
        dimensions=network.map_dimensions(backbone.side),
        of=backbone.name,
    )


def known_backbones(
    media: str, *, weights_folder: Path | None, keras_cache: Path | None = None
) -> list[Backbone]:
    """Return every backbone that can run here, whatever the items' size; arguments as above."""
    folders = (weights_folder, (keras_cache or Path.home() / ".keras") / "models")
    if media == "image":
        found = weights.find_weights(weights.MOBILENET_FILE, folders)
        networks = [_mobilenet(found, side) for side in network.SIDES] if found else []
        return [*networks, *filter(None, map(maps_of, networks))] or [_patches()]
    if media == "audio":
        found = weights.find_weights(weights.YAMNET_FILE, folders)
        return [_mfcc(note=""), _yamnet(found)] if found else [_mfcc(note=NEEDS_YAMNET)]
    if media == "text":
        title = "Words and parts of words"
        return [Backbone("text-ngrams-v1", title, words.DIMENSIONS, pretrained=False)]
    raise ValueError(f"Media must be image, audio or text, not {media!r}.")


def _mobilenet(path: Path, side: int) -> Backbone:
    name = f"mobilenetv2-0.35-{side}-{weights.short_digest(path)}-v1"
    title = f"MobileNetV2 0.35, trained on ImageNet, at {side} pixels"
    return Backbone(name, title, network.DIMENSIONS, pretrained=True, weights=path, side=side)


def _patches() -> Backbone:
    return Backbone(
        "hog-colour-patches-v1",
        "Edges, colours and patches",
        patches.DIMENSIONS,
        pretrained=False,
        note=NEEDS_MOBILENET,
    )


def _mfcc(*, note: str) -> Backbone:
    title = "Speech spectrum over time (MFCC)"
    return Backbone("mfcc20x5-v2", title, waves.MFCC_DIMENSIONS, pretrained=False, note=note)


def _yamnet(path: Path) -> Backbone:
    name = f"yamnet-{weights.short_digest(path)}-v1"
    title = "YAMNet, trained on AudioSet"
    return Backbone(name, title, waves.YAMNET_DIMENSIONS, pretrained=True, weights=path)


def extract(
    backbone: Backbone,
    contents: Sequence[bytes],
    *,
    batch: int = 32,
    progress: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> np.ndarray:
    """Turn contents into vectors, batch by batch.

    Parameters
    ----------
    backbone : Backbone
        One of `choose_backbones`.
    contents : sequence of bytes
        Original files, or texts in UTF-8.
    batch : int
        Contents between two calls of `progress` and `should_stop`.
    progress : callable, optional
        Called with the number of contents done.
    should_stop : callable, optional
        True ends the work with `Stopped`.

    Returns
    -------
    float32 ndarray of shape (n_contents, backbone.dimensions)
        Rows in the order of `contents`.

    Raises
    ------
    ValueError
        Naming the index of a content that cannot be decoded.
    Stopped
    """
    rows = np.zeros((len(contents), backbone.dimensions), dtype=np.float32)
    for start in range(0, len(contents), batch):
        if should_stop is not None and should_stop():
            raise Stopped
        part = contents[start : start + batch]
        rows[start : start + len(part)] = _describe(backbone, part, first=start)
        if progress is not None:
            progress(start + len(part))
    return rows


def _describe(backbone: Backbone, contents: Sequence[bytes], *, first: int) -> np.ndarray:
    kind = backbone.name.split("-")[0]
    if kind == "mobilenetv2":
        path = _weights_of(backbone)
        squares = _each(
            contents, lambda content: decode_square(content, backbone.side), first=first
        )
        return network.describe_squares(squares, weights=path, as_maps=bool(backbone.of))
    if kind == "hog":
        return np.stack(_each(contents, patches.describe_picture, first=first))
    if kind == "text":
        texts = [content.decode("utf-8", errors="replace") for content in contents]
        return words.describe_texts(texts)
    heard = _each(contents, waves.read_wave, first=first)
    if kind == "yamnet":
        path = _weights_of(backbone)
        return np.stack([waves.yamnet_embedding(wave, weights=path) for wave in heard])
    if kind == "mfcc20x5":
        return np.stack([waves.mfcc_statistics(wave) for wave in heard])
    raise ValueError(f"There is no backbone named {backbone.name!r}.")


def _weights_of(backbone: Backbone) -> Path:
    """Return the weight file, or refuse: a network without it would answer at random."""
    if backbone.weights is None or not backbone.weights.is_file():
        raise ValueError(f"The weight file of {backbone.name} is not there any more.")
    return backbone.weights


def _each(
    contents: Sequence[bytes], describe: Callable[[bytes], np.ndarray], *, first: int
) -> list[np.ndarray]:
    rows = []
    for number, content in enumerate(contents, start=first):
        try:
            rows.append(describe(content))
        except UnusableFile as error:
            raise ValueError(f"Content {number} cannot be decoded: {error}") from error
    return rows
