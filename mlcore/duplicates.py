"""Find items that are the same thing: bytes, pixels, look-alikes, mirrored and turned ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mlcore.alignment import SIDE, shapes, unexplained
from mlcore.hamming import close_pairs, distinct
from mlcore.image_hashes import hash_coefficients, hashes_from
from mlcore.insides import insides
from mlcore.neighbours import NeighbourGraph, nearest
from mlcore.parts import left_as_part
from mlcore.plain_pictures import LEAST_DETAIL
from mlcore.shingles import find_alike, letters_of
from mlcore.strips import left_but_for_a_strip
from mlcore.symmetries import (
    FLIPPED,
    HALF_TURN,
    LEFT_TURN,
    MIRRORED,
    RIGHT_TURN,
    TRANSPOSED,
    changed_pairs,
    lying,
)
from mlcore.unrelated import COPY_SHARE, Yardstick, yardstick_of

HASH_BITS = 10
"""Differing bits of 64 up to which hashes make a candidate (imagededup's default)."""

SHAPE_NEIGHBOURS = 5
"""Candidates per picture from its shape, which finds shifted copies that no hash joins."""

MOST_SHAPED = 20_000
"""Above this many pictures the exact search by shape costs more than a minute."""

EMBEDDING_NEIGHBOURS = 10
"""Candidates per item from the neighbour graph."""

EMBEDDING_COPY = 0.78
"""Cosine above the mean to both sides' neighbours, plus half the pixel agreement: a copy."""

EMBEDDING_SCALE = 0.1
"""Width of the score's rise around EMBEDDING_COPY, same unit."""

FAINT_AN_ITEM = 1.0
"""Pairs an item that embeddings alone may propose at most, whatever `least_score` asks for."""

PART_LIMIT = 0.6
"""Of what a copy may leave, what a part of a picture may: it is looked for in more ways.

Crops by 15 to 25 % leave less than a fifth of what unrelated photos do in nine of ten; two dark
clothes on a light sheet, one of them cropped, .22 (docs/detectors.md)."""

LEAST_SCORE = 0.5
"""From here a pair is called a copy."""

SUREST_ALIKE = 0.98
"""Score of pictures that leave nothing; equal pixels and bytes are surer."""

_QUARTER = ("turn", ", once one is turned by 90 degrees")
_TRANSPOSED = ("turn", ", once one is mirrored and turned by 90 degrees")
CHANGES = {
    MIRRORED: ("mirror", ", once one is mirrored"),
    FLIPPED: ("mirror", ", once one is mirrored from top to bottom"),
    HALF_TURN: ("turn", ", once one is turned by 180 degrees"),
    LEFT_TURN: _QUARTER,
    RIGHT_TURN: _QUARTER,
    TRANSPOSED: _TRANSPOSED,
    HALF_TURN | TRANSPOSED: _TRANSPOSED,
}
"""What makes a changed copy the same, by the way in which it has to lie: evidence and words."""

PART = ("part", ", once one is taken for a part of the other")
STRIP = ("strip", " but for a strip across one")

EXACT = ("bytes", "pixels", "letters")
"""Evidence that needs no judgment: what equals the same thing is equal among itself."""

SEED = 20261121
"""Seed of the background sample where the caller gives no generator."""


class Pair(NamedTuple):  # tens of thousands are made for one page
    """Two items that are taken for the same thing.

    `first` < `second` are row numbers, `score` is 0 to 1 (1 is certain), `evidence` is one of
    bytes, pixels, letters, hash, mirror, turn, part, strip, embedding, words; `reason` says it in
    words.
    """

    first: int
    second: int
    score: float
    evidence: str
    reason: str


def find_copies(
    *,
    sha256: Sequence[str],
    pixel_hashes: Sequence[str | None] | None = None,
    phashes: np.ndarray | None = None,
    flat: np.ndarray | None = None,
    framed: np.ndarray | None = None,
    neighbours: NeighbourGraph | None = None,
    thumbnails: np.ndarray | None = None,
    texts: Sequence[str] | None = None,
    least_score: float = LEAST_SCORE,
    rng: np.random.Generator | None = None,
) -> list[Pair]:
    """Find all pairs of items that are copies of each other, the surest first.

    Equal bytes and equal pixels are certain. Other pairs are candidates first (close hashes,
    alike shapes, near in the embedding), then the pictures are aligned, and a pair counts
    only where it is much closer than unrelated pictures of this data set are.

    Parameters
    ----------
    sha256 : sequence of str, length n_items
        Hash of each file's bytes.
    pixel_hashes : sequence of str or None, length n_items
        Hash of what is shown (or of the samples of a sound); None or "" where unknown.
    phashes : uint64 ndarray of shape (n_items,)
        Perceptual hashes of pictures.
    flat : bool ndarray of shape (n_items,)
        Pictures without structure, texts too short for likeness; they are copies only by
        bytes, pixels or letters.
    framed : bool ndarray of shape (n_items,)
        Pictures in a frame (`mlcore.frames`), which is left off to find what it holds.
    neighbours : NeighbourGraph
        Over the same rows.
    thumbnails : float ndarray of shape (n_items, 32 * 32)
        Grey levels, 0 to 255; of sounds, which have no `phashes`, their spectrograms at any scale
        (`features.waves.spectrogram_picture`). Without them nothing else is compared.
    texts : sequence of str, length n_items
        Of items that are texts; they are compared by their words (`mlcore.shingles`).
    least_score : float
        Lower it to also get pairs that are only suspected, for a queue worst first.
    rng : numpy Generator
        For the sample of unrelated pictures.

    Returns
    -------
    list of Pair
        Each pair once, with its strongest evidence; copies of copies are joined through one
        item where bytes, pixels or letters are equal.
    """
    n_items = len(sha256)
    found: dict[tuple[int, int], Pair] = {}
    _join_equal(found, sha256, evidence="bytes", score=1.0)
    _join_equal(found, pixel_hashes or [], evidence="pixels", score=0.99)
    letters = [letters_of(text) for text in texts or []]
    _join_equal(found, letters, evidence="letters", score=0.98)
    rows = _distinct_rows([sha256, pixel_hashes or [], letters], flat, n_items)
    graph = _restricted(neighbours, rows, n_items)
    rng = np.random.default_rng(SEED) if rng is None else rng
    if texts is not None:
        _join_texts(found, rows, texts)
    elif thumbnails is not None:
        if thumbnails.shape != (n_items, SIDE * SIDE):
            raise ValueError(f"thumbnails must have shape ({n_items}, {SIDE * SIDE})")
        if len(rows) > 1:
            yardstick = yardstick_of(thumbnails, rows, rng=rng, of_photos=phashes is not None)
            _join_pictures(found, rows, thumbnails, phashes, graph, yardstick)
            if phashes is not None and framed is not None and yardstick.zoomed:
                _join_framed(found, rows, framed, thumbnails, np.asarray(phashes), yardstick)
    sure = [pair for pair in found.values() if pair.score >= least_score]
    return sorted(sure, key=lambda pair: (-pair.score, pair.first, pair.second))


def _add(
    found: dict[tuple[int, int], Pair], one: int, other: int, score: float, *, why: tuple[str, str]
) -> None:
    key = (int(min(one, other)), int(max(one, other)))
    if key not in found or found[key].score < score:
        found[key] = Pair(*key, float(score), *why)


def _join_equal(
    found: dict[tuple[int, int], Pair],
    hashes: Sequence[str | None],
    *,
    evidence: str,
    score: float,
) -> None:
    """Join every item with the first one of the same hash."""
    words = {
        "bytes": "Both are the same, byte for byte.",
        "pixels": "The files differ, but what they show or sound is exactly equal.",
        "letters": "The same words; only punctuation, spaces or capitals differ.",
    }
    first_of: dict[str, int] = {}
    for row, value in enumerate(hashes):
        if value:
            first = first_of.setdefault(value, row)
            if first != row:
                _add(found, first, row, score, why=(evidence, words[evidence]))


def _distinct_rows(
    hashes: Sequence[Sequence[str | None]], flat: np.ndarray | None, n_items: int
) -> np.ndarray:
    """Return the first row of each distinct content that has structure."""
    again = np.zeros(n_items, bool)
    for column in hashes:
        seen: set[str] = set()
        for row, value in enumerate(column):
            if value in seen:
                again[row] = True
            elif value:
                seen.add(value)
    return np.flatnonzero(~again if flat is None else ~again & ~flat)


def _restricted(
    graph: NeighbourGraph | None, rows: np.ndarray, n_items: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return (pairs, cosine, level) of the graph: level is each item's mean similarity."""
    if graph is None or graph.indices.shape[1] == 0:
        return None
    if len(graph.indices) != n_items:
        raise ValueError(f"the neighbour graph has {len(graph.indices)} rows, not {n_items}")
    near = graph.indices[:, :EMBEDDING_NEIGHBOURS]
    pairs = np.stack([np.repeat(np.arange(n_items), near.shape[1]), near.ravel()], axis=1)
    allowed = np.zeros(n_items, bool)
    allowed[rows] = True
    keep = allowed[pairs].all(axis=1)
    cosine = graph.similarities[:, :EMBEDDING_NEIGHBOURS].ravel()[keep]
    return np.sort(pairs[keep], axis=1), cosine, graph.similarities


def _join_texts(found: dict[tuple[int, int], Pair], rows: np.ndarray, texts: Sequence[str]) -> None:
    for pair in find_alike([texts[row] for row in rows]):
        why = ("words", pair.reason)
        _add(found, rows[pair.first], rows[pair.second], pair.score, why=why)


def _join_pictures(
    found: dict[tuple[int, int], Pair],
    rows: np.ndarray,
    pictures: np.ndarray,
    phashes: np.ndarray | None,
    graph: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    yardstick: Yardstick,
) -> None:
    candidates = [np.zeros((0, 2), np.int64)]
    if phashes is not None:
        hashes = np.asarray(phashes)[rows]
        candidates.append(rows[close_pairs(hashes, hashes, most_bits=HASH_BITS)])
    if len(rows) <= MOST_SHAPED:
        shaped = nearest(shapes(pictures[rows]), k=SHAPE_NEIGHBOURS).indices
        own = np.repeat(rows, shaped.shape[1])
        candidates.append(np.sort(np.stack([own, rows[shaped.ravel()]], axis=1), axis=1))
    if phashes is None and graph is not None:
        candidates.append(graph[0])
    pairs = distinct(np.concatenate(candidates))
    _join_aligned(found, pairs, pictures, pictures, yardstick, why=("hash", ""))
    if phashes is not None:
        _join_changed(found, rows, pictures, yardstick)
    if graph is not None and phashes is not None:  # what it takes was learned from photos
        _join_embedded(found, graph, pictures, yardstick)


def _join_changed(
    found: dict[tuple[int, int], Pair],
    rows: np.ndarray,
    pictures: np.ndarray,
    yardstick: Yardstick,
) -> None:
    """Join pictures that are copies once one is mirrored, turned, or both."""
    pairs, ways = changed_pairs(pictures[rows], most_bits=HASH_BITS)
    for way, why in CHANGES.items():
        chosen = rows[pairs[ways == way]]
        if len(chosen):
            _join_aligned(found, chosen, pictures, lying(pictures, way), yardstick, why=why)


def _join_aligned(
    found: dict[tuple[int, int], Pair],
    pairs: np.ndarray,
    pictures: np.ndarray,
    others: np.ndarray,
    yardstick: Yardstick,
    *,
    why: tuple[str, str],
) -> None:
    share = yardstick.share_left(pictures, others, pairs, most=2 * yardstick.limit)
    _add_alike(found, pairs, share, limit=yardstick.limit, why=why)


def _add_alike(
    found: dict[tuple[int, int], Pair],
    pairs: np.ndarray,
    share: np.ndarray,
    *,
    limit: float,
    why: tuple[str, str],
) -> None:
    """Add pairs that leave up to twice what a copy may; at `limit` they have LEAST_SCORE."""
    evidence, once = why
    close = share < 2 * limit
    scores = SUREST_ALIKE - (SUREST_ALIKE - LEAST_SCORE) * share[close] / limit
    for (i, j), value, score in zip(pairs[close], share[close], scores, strict=True):
        _add(found, i, j, score, why=(evidence, f"{_how_alike(value)}{once}."))


def _how_alike(share: float) -> str:
    """Say what a share of the difference of unrelated pictures means."""
    times = 1 / max(share, 0.01)
    count = "over 100" if times >= 100 else f"{times:.0f}" if times >= 3 else f"{times:.1f}"
    return f"The most alike unrelated items here differ {count} times as much as these two"


def _join_embedded(
    found: dict[tuple[int, int], Pair],
    graph: tuple[np.ndarray, np.ndarray, np.ndarray],
    pictures: np.ndarray,
    yardstick: Yardstick,
) -> None:
    """Join what the backbone sees as the same shot, with the pixels as second witness.

    Cosine minus the mean similarity to the nearest background items on both sides (score
    normalisation) joined with pixel agreement.
    """
    pairs, cosine, similarities = graph
    mean = similarities.mean(axis=1)
    margin = cosine - (mean[pairs[:, 0]] + mean[pairs[:, 1]]) / 2
    promising = margin + 0.5 > EMBEDDING_COPY - 4 * EMBEDDING_SCALE
    pairs, places = np.unique(pairs[promising], axis=0, return_index=True)
    margin = margin[promising][places]
    if yardstick.zoomed:
        _join_parts(found, pairs[margin > 0], pictures, yardstick)
    most = yardstick.limit / COPY_SHARE  # from here on it is 1 below
    relative = yardstick.share_left(pictures, pictures, pairs, most=most)
    share = np.minimum(relative * COPY_SHARE / yardstick.limit, 1.0)
    strength = margin + 0.5 * (1.0 - share)
    scores = 0.97 / (1.0 + np.exp((EMBEDDING_COPY - strength) / EMBEDDING_SCALE))
    best = np.argsort(-scores, kind="stable")[: round(FAINT_AN_ITEM * len(pictures))]
    for (i, j), score in zip(pairs[best], scores[best], strict=True):
        words = (
            "To the model they are nearly the same, far closer than other neighbours."
            if score >= LEAST_SCORE
            else "To the model they are closer than other neighbours; perhaps the same source."
        )
        _add(found, i, j, score, why=("embedding", words))


def _join_parts(
    found: dict[tuple[int, int], Pair],
    pairs: np.ndarray,
    pictures: np.ndarray,
    yardstick: Yardstick,
) -> None:
    """Join pictures one of which is a part of the other, or has a strip over it."""
    limit = PART_LIMIT * yardstick.limit
    is_rich = yardstick.detail[pairs] >= LEAST_DETAIL
    for sides in (pairs[is_rich[:, 1]], pairs[is_rich[:, 0], ::-1]):
        levels = yardstick.level_of(sides)
        share = left_as_part(pictures, sides, most=2 * limit * levels) / levels
        _add_alike(found, sides, share, limit=limit, why=PART)
    rich = pairs[is_rich.all(axis=1)]
    levels = yardstick.level_of(rich)
    others = yardstick.drawn
    share = left_but_for_a_strip(pictures, rich, levels=levels, most=2 * limit, others=others)
    _add_alike(found, rich, share, limit=limit, why=STRIP)


def _join_framed(
    found: dict[tuple[int, int], Pair],
    rows: np.ndarray,
    framed: np.ndarray,
    pictures: np.ndarray,
    phashes: np.ndarray,
    yardstick: Yardstick,
) -> None:
    """Join pictures in a frame with those that show what it holds; no model has to see it."""
    within, held = insides(pictures[rows[framed[rows]]])
    own = rows[framed[rows]][within]
    others = np.concatenate([own, np.setdiff1d(rows, own)])  # no picture meets its own inside
    hashes = hashes_from(hash_coefficients(held.reshape(-1, SIDE, SIDE)))
    places, close = close_pairs(hashes, phashes[others], most_bits=HASH_BITS).T
    pairs = np.stack([others[close], own[places]], axis=1)
    rich = yardstick.detail[pairs[:, 0]] >= LEAST_DETAIL
    pairs, places = pairs[rich], places[rich]
    levels = yardstick.level[pairs[:, 0]]  # a frame that others have as well is none of theirs
    sides = np.stack([pairs[:, 0], places], axis=1)
    limit = PART_LIMIT * yardstick.limit
    most = 2 * limit * levels
    share = unexplained(pictures, held, sides, most=most, zoomed=True) / levels
    _add_alike(found, pairs, share, limit=limit, why=PART)
