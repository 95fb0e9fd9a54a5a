"""Find texts that are nearly the same: shared groups of letters, then the words that differ."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np

SHINGLE = 4
"""Letters of one group. Of a question of 50 letters, a typing error changes five groups."""

BANDS, ROWS = 16, 5
"""MinHash bands (Broder 1997, Leskovec et al. 2020): likeness .8 is met in 99.8 % of cases, .7 in
95 %, and .1, as of unrelated texts, in 0.016 %."""

BUCKET_PARTNERS = 8
"""Texts of one bucket that each is compared with: bounds the pairs, whatever the texts are."""

LEAST_LIKENESS = 0.4
"""Estimated share of common groups below which a pair is dropped."""

SURE_LIKENESS = 0.6
"""The same words in another order share fewer; eight words less one long word share .6."""

PAIRS_AN_ITEM = 1.0
"""Pairs an item whose words are compared, the most alike first."""

WORDS_A_CHANGE = 12
"""A copy has at most one word more or less in so many; up to twice as many are suspected."""

REPLACED = 4
"""Another word, another number or another order counts so much: it may say something else."""

SLIP = 0.5
"""A word that is only mistyped counts so much."""

SLIP_LETTERS = 4
"""Shorter words become others by one letter."""

SLIP_RARITY = 10
"""A slip is so many times rarer than the word that was meant, or stands there once or twice."""

MOST_SUSPECTED, FAINT_POWER = 0.49, 10
"""Score of what is no copy: this at most, times the likeness to this power; at .8 it is .05."""

BREAKS_A_WORD = 3
"""Neighbourships of words that one word more or less changes: two new, one gone."""

WORDS_TOLD = 3
BLOCK_LETTERS = 2**20
BLOCK_PAIRS = 2**17
SEED = 20261126
MEANING = "%#&"
"""Punctuation that is said aloud."""


Token = TypeVar("Token")


@dataclass(frozen=True)
class TextPair:
    """Two rows, `first` < `second`; `score` 0 to 1, from .5 a copy; `reason` in words."""

    first: int
    second: int
    score: float
    reason: str


def letters_of(text: str) -> str:
    """Return what equals in texts that differ by case, punctuation and white space only.

    Examples
    --------
    >>> letters_of("Can't  wait. Really!") == letters_of("CANT WAIT REALLY")
    True
    >>> letters_of("It is -1.50") == letters_of("It is 150")
    False
    """
    return _joined(_words(text))


def find_alike(texts: Sequence[str]) -> list[TextPair]:
    """Find pairs of texts that are the same but for a few changes, the surest first.

    Candidates share a band of MinHash values of their letter groups; no step is quadratic. Then
    words are compared: added and left out ones count 1, mistyped ones SLIP, other words, numbers
    and another order REPLACED. Up to one change in WORDS_A_CHANGE words is a copy, twice as many
    are suspected; what is left follows in order of the groups shared.

    Parameters
    ----------
    texts : sequence of str
        Distinct ones; equal letters are not looked for here, they score 1.

    Returns
    -------
    list of TextPair
        At most PAIRS_AN_ITEM pairs an item.

    Examples
    --------
    >>> long = "when will the new card that I ordered last week be here"
    >>> [found] = find_alike([long, long + " please", "where is my money"])
    >>> found.reason.partition(".")[0]
    'The same words, but “please” is only in one'
    """
    words = [_words(text) for text in texts]
    pairs, likeness = _candidates(_signatures([_joined(row) for row in words]))
    known = Counter(word for row in words for word in set(row))
    found = []
    for (i, j), share in zip(pairs.tolist(), likeness.tolist(), strict=True):
        changes = _changes(words[i], words[j], known)
        found.append(_judged(i, j, share, changes, max(len(words[i]), len(words[j]))))
    return sorted(found, key=lambda pair: (-pair.score, pair.first, pair.second))


@lru_cache(maxsize=1)
def _punctuation() -> re.Pattern[str]:
    """Match punctuation, except that inside a number."""
    signs = map(chr, range(sys.maxunicode + 1))
    found = {sign for sign in signs if unicodedata.category(sign).startswith("P")}
    listed = re.escape("".join(sorted((found | {"`"}) - set(MEANING))))
    return re.compile(rf"(?<!\d)[{listed}]++|[{listed}]++(?!\d)")


#: HTML's tags of plain text; others may be meant, as in "list<int>".
_TAG = re.compile(
    r"</?(?:a|b|blockquote|br|div|em|h[1-6]|i|li|ol|p|span|strong|u|ul)"
    r"(?:\s+[a-z-]+=(?:\"[^\"<>]*\"|'[^'<>]*'))*\s*/?>"
)


def _words(text: str) -> list[str]:
    """Return words without case, width, tags, punctuation; a minus before a number is a sign."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    if "<" in folded:
        folded = _TAG.sub(" ", folded)
    signed = re.sub(r"(?<!\S)-(?=\d)", "\u2212", folded).split()
    words = [word if word.isalnum() else _punctuation().sub("", word) for word in signed]
    return [word for word in words if word]


def _joined(words: Sequence[str]) -> str:
    """Leave out the spaces, except those between numbers."""
    return re.sub(r"(?<!\d) +| +(?!\d)", "", " ".join(words))


def _signatures(letters: Sequence[str]) -> np.ndarray:
    """Return uint32 minima of shape (n_texts, BANDS * ROWS); a text without groups gets its own."""
    rng = np.random.default_rng(SEED)
    factors = rng.integers(0, 2**63, BANDS * ROWS, np.uint64) * np.uint64(2) + np.uint64(1)
    found = rng.integers(0, 2**32, (len(letters), BANDS * ROWS), np.uint32)
    for rows in _blocks(letters):
        long = [row for row in rows if len(letters[row]) >= SHINGLE]
        if long:
            groups, starts = _groups([letters[row] for row in long])
            for place, factor in enumerate(factors):
                mixed = ((groups * factor) >> np.uint64(32)).astype(np.uint32)
                found[long, place] = np.minimum.reduceat(mixed, starts)
    return found


def _blocks(letters: Sequence[str]) -> Iterator[list[int]]:
    rows: list[int] = []
    size = 0
    for row, text in enumerate(letters):
        rows.append(row)
        size += len(text)
        if size >= BLOCK_LETTERS:
            yield rows
            rows, size = [], 0
    yield rows


def _groups(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return a hash of every letter group and where those of each text start."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    hashes = np.zeros(len(codes) - SHINGLE + 1, np.uint64)
    for place in range(SHINGLE):
        hashes *= np.uint64(0x9E3779B97F4A7C15)
        hashes += codes[place : len(hashes) + place]
    hashes ^= hashes >> np.uint64(29)
    hashes *= np.uint64(0xBF58476D1CE4E5B9)
    hashes ^= hashes >> np.uint64(32)
    lengths = np.array([len(text) for text in texts])
    ends = np.cumsum(lengths)
    inside = np.ones(len(codes), bool)
    for back in range(1, SHINGLE):
        inside[ends - back] = False
    starts = np.concatenate([[0], np.cumsum(lengths - SHINGLE + 1)[:-1]])
    return hashes[inside[: len(hashes)]], starts


def _candidates(signatures: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the most alike pairs that share a band, and their estimated likeness."""
    n_texts = len(signatures)
    keys = np.zeros(0, np.int64)
    for band in range(BANDS):
        keys = np.sort(np.concatenate([keys, _of_band(signatures, band)]))
        keys = keys[np.diff(keys, prepend=-1) > 0]  # np.unique hashes, many times slower here
    pairs = np.stack([keys // max(1, n_texts), keys % max(1, n_texts)], axis=1)
    likeness = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), BLOCK_PAIRS):
        part = pairs[start : start + BLOCK_PAIRS]
        same = signatures[part[:, 0]] == signatures[part[:, 1]]
        likeness[start : start + BLOCK_PAIRS] = same.mean(axis=1)
    best = np.argsort(-likeness, kind="stable")[: round(PAIRS_AN_ITEM * n_texts)]
    best = best[likeness[best] >= LEAST_LIKENESS]
    return pairs[best], likeness[best]


def _of_band(signatures: np.ndarray, band: int) -> np.ndarray:
    """Return pairs of one band as first * n + second; in large buckets the next in order only."""
    n_texts = len(signatures)
    rolled = np.roll(signatures, -band * ROWS, axis=1)[:, : 2 * ROWS]
    order = np.lexsort(rolled.T[::-1])
    ordered = rolled[order, :ROWS]
    keys = [np.zeros(0, np.int64)]
    for step in range(1, min(BUCKET_PARTNERS, n_texts - 1) + 1):
        same = (ordered[step:] == ordered[:-step]).all(axis=1)
        one, other = order[:-step][same], order[step:][same]
        keys.append(np.minimum(one, other) * n_texts + np.maximum(one, other))
    return np.concatenate(keys)


@dataclass(frozen=True)
class _Changes:
    """What two texts differ by: mistyped words, words put for others, words of one only."""

    slips: list[tuple[str, str]]
    replaced: int
    extra: list[str]
    is_moved: bool

    @property
    def count(self) -> float:
        others = self.replaced + self.is_moved + sum(map(_has_digit, self.extra))
        return SLIP * len(self.slips) + len(self.extra) + REPLACED * others


def _changes(one: Sequence[str], other: Sequence[str], known: Counter[str]) -> _Changes:
    left, right = _only(one, other), _only(other, one)
    breaks = _only(list(pairwise(one)), list(pairwise(other)))
    rebreaks = _only(list(pairwise(other)), list(pairwise(one)))
    is_moved = len(breaks) + len(rebreaks) > BREAKS_A_WORD * (len(left) + len(right))
    slips = _slips(left, right, known)
    replaced = min(len(left), len(right))
    extra = (left + right)[: abs(len(left) - len(right))]
    return _Changes(slips, replaced, extra, is_moved)


def _slips(left: list[str], right: list[str], known: Counter[str]) -> list[tuple[str, str]]:
    """Take mistyped words, and such with a space too many or too few, out of both lists."""
    joined, rejoined = "".join(left), "".join(right)
    if left and right and (joined == rejoined or _is_slip(joined, rejoined, known)):
        told = (" ".join(left), " ".join(right))
        left.clear()
        right.clear()
        return [told]
    slips = []
    for word in list(left):
        meant = next((found for found in right if _is_slip(word, found, known)), None)
        if meant is not None:
            slips.append((word, meant))
            left.remove(word)
            right.remove(meant)
    return slips


def _has_digit(word: str) -> bool:
    return any(map(str.isdigit, word))


def _only(one: Sequence[Token], other: Sequence[Token]) -> list[Token]:
    """Return what `one` has and `other` lacks, in order."""
    there = Counter(other)
    found = []
    for word in one:
        if there[word]:
            there[word] -= 1
        else:
            found.append(word)
    return found


def _is_slip(one: str, other: str, known: Counter[str]) -> bool:
    """Tell whether one word is the other, mistyped by one letter."""
    short, long = sorted((one, other), key=len)
    if len(long) < SLIP_LETTERS or len(long) - len(short) > 1:
        return False
    rare, common = sorted((known[one], known[other]))
    if (rare > 2 and SLIP_RARITY * rare > common) or _has_digit(one + other):
        return False
    start = next((at for at, sign in enumerate(short) if sign != long[at]), len(short))
    rest, rest2 = short[start:], long[start:]
    if len(short) < len(long):
        return rest == rest2[1:]
    return rest[1:] == rest2[1:] or (rest[:2] == rest2[1::-1] and rest[2:] == rest2[2:])


def _judged(first: int, second: int, share: float, changes: _Changes, words: int) -> TextPair:
    strain = changes.count * WORDS_A_CHANGE / max(1, words)
    told = f"{_told(changes)} About {100 * share:.0f} % of their groups of letters are the same."
    if strain <= 1 and share >= SURE_LIKENESS:
        return TextPair(first, second, 0.97 - 0.47 * strain, told)
    faint = max(share**FAINT_POWER, 2 - strain if share >= SURE_LIKENESS else 0.0)
    return TextPair(first, second, MOST_SUSPECTED * min(1.0, faint), told)


def _told(changes: _Changes) -> str:
    parts = [f"“{one}” is “{other}” in one" for one, other in changes.slips[:WORDS_TOLD]]
    if changes.replaced:
        parts.append(f"{_counted(changes.replaced)} put for others")
    if len(changes.extra) > WORDS_TOLD:
        parts.append(f"{_counted(len(changes.extra))} only in one")
    elif changes.extra:
        listed = ", ".join(f"“{word}”" for word in changes.extra)
        parts.append(f"{listed} {'is' if len(changes.extra) == 1 else 'are'} only in one")
    if changes.is_moved:
        parts.append("the order is another")
    return f"The same words, but {'; '.join(parts)}." if parts else "The same words."


def _counted(words: int) -> str:
    return "1 word is" if words == 1 else f"{words} words are"
