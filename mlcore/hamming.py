"""All pairs of 64-bit hashes that differ in few bits."""

from __future__ import annotations

import numpy as np

BRUTE_FORCE_ITEMS = 12_000
"""Up to this many hashes, comparing all with all is faster than looking up buckets."""

BLOCK = 2**17
"""Pairs compared at once: their bits stay in the cache."""

CHUNK_BITS = 16
"""A hash is cut into four chunks; within 11 bits, one chunk differs in at most two."""

MOST_BITS = 11
"""Largest distance for which four chunks suffice (pigeonhole; Norouzi et al. 2012)."""


def close_pairs(first: np.ndarray, second: np.ndarray, *, most_bits: int) -> np.ndarray:
    """Return all pairs of rows (i, j) whose hashes differ in at most `most_bits`; i is not j.

    Parameters
    ----------
    first, second : uint64 ndarrays of shape (n_items,)
        Row i of `first` is compared with row j of `second`; the same array twice finds copies,
        each pair once, i < j; hashes and those of changed pictures find changed copies.
    most_bits : int
        0 to 11.

    Returns
    -------
    int64 ndarray of shape (n_pairs, 2)
        Sorted.

    Examples
    --------
    >>> hashes = np.array([0, 1, 255], np.uint64)
    >>> close_pairs(hashes, hashes, most_bits=2).tolist()
    [[0, 1]]
    """
    if not 0 <= most_bits <= MOST_BITS:
        raise ValueError(f"most_bits must be 0 to {MOST_BITS}, not {most_bits}")
    same = first is second
    first = np.asarray(first, np.uint64)
    second = first if same else np.asarray(second, np.uint64)
    if len(first) <= BRUTE_FORCE_ITEMS:
        found = [_compare_all(first, second, most_bits)]
    else:
        found = [_compare_buckets(first, second, chunk, most_bits) for chunk in range(4)]
    pairs = np.concatenate(found)
    one, other = pairs.T
    return distinct(pairs[one < other if same else one != other])


def distinct(pairs: np.ndarray) -> np.ndarray:
    """Return each pair of rows once, sorted; numpy takes five times as long to compare rows."""
    most = int(pairs.max(initial=0)) + 1
    return np.stack(np.divmod(each_once(pairs[:, 0] * most + pairs[:, 1]), most), axis=1)


def each_once(numbers: np.ndarray) -> np.ndarray:
    """Return each number once, sorted: `np.unique` looks it up in a table, 70 times as slow.

    Examples
    --------
    >>> each_once(np.array([3, 1, 3])).tolist()
    [1, 3]
    """
    ordered = np.sort(numbers)
    is_new = np.ones(len(ordered), bool)
    is_new[1:] = ordered[1:] != ordered[:-1]
    return ordered[is_new]


def _compare_all(first: np.ndarray, second: np.ndarray, most_bits: int) -> np.ndarray:
    found = [np.zeros((0, 2), np.int64)]
    block = 1 + BLOCK // max(1, len(second))
    for start in range(0, len(first), block):
        begin = start if first is second else 0
        close = np.bitwise_count(first[start : start + block, None] ^ second[begin:]) <= most_bits
        if close.any():
            # In one dimension: numpy looks for few in many 20 times as fast there.
            rows, columns = np.divmod(np.flatnonzero(close), len(second) - begin)
            found.append(np.stack([rows + start, columns + begin], axis=1))
    return np.concatenate(found)


def _compare_buckets(
    first: np.ndarray, second: np.ndarray, chunk: int, most_bits: int
) -> np.ndarray:
    """Compare hashes whose chunk differs in at most two bits."""
    shift, mask = np.uint64(CHUNK_BITS * chunk), np.uint64(2**CHUNK_BITS - 1)
    own = ((first >> shift) & mask).astype(np.int64)
    other = ((second >> shift) & mask).astype(np.int64)
    order = np.argsort(other, kind="stable")
    size = np.bincount(other, minlength=2**CHUNK_BITS)
    begin = np.cumsum(size) - size
    found = [np.zeros((0, 2), np.int64)]
    for flipped in _flips(most_bits // 4):
        bucket = own ^ flipped
        count = size[bucket]
        rows = np.repeat(np.arange(len(first)), count)
        within = np.arange(len(rows)) - np.repeat(np.cumsum(count) - count, count)
        columns = order[np.repeat(begin[bucket], count) + within]
        close = np.bitwise_count(first[rows] ^ second[columns]) <= most_bits
        found.append(np.stack([rows[close], columns[close]], axis=1))
    return np.concatenate(found)


def _flips(most: int) -> list[int]:
    """Return all 16-bit masks with at most `most` bits set (0, 1 or 2)."""
    singles = [1 << bit for bit in range(CHUNK_BITS)]
    doubles = [one | other for one in singles for other in singles if one < other]
    return [0] + (singles if most >= 1 else []) + (doubles if most >= 2 else [])
