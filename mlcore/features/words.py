"""Text features: hashed word and character n-grams, folded into dense vectors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

DIMENSIONS = 2048
HASHED = 2**18
"""n-grams are hashed into so many columns before they are folded."""
FOLDS_PER_COLUMN = 4
"""Dense columns that share one n-gram, with random signs: a sparse random projection
(Kane and Nelson 2014, doi:10.1145/2559902) keeps distances to about 1/sqrt(DIMENSIONS)."""
PROJECTION_SEED = 20261121


def describe_texts(texts: Sequence[str]) -> np.ndarray:
    """Return one vector per text; nothing is fitted, so vectors of any day mix.

    Parameters
    ----------
    texts : sequence of str

    Returns
    -------
    float32 ndarray of shape (n_texts, DIMENSIONS)
        Cosines between rows stand for shared words, word pairs and parts of words.

    Examples
    --------
    >>> vectors = describe_texts(["lost my card", "my card is lost", "rate of exchange"])
    >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
    True
    """
    words, letters = _vectorizers()
    projection = _projection()
    folded = words.transform(texts) @ projection + letters.transform(texts) @ projection
    return np.asarray(folded.toarray(), dtype=np.float32)


@lru_cache(maxsize=1)
def _vectorizers() -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import HashingVectorizer

    return (
        HashingVectorizer(n_features=HASHED, ngram_range=(1, 2), token_pattern=r"\b\w+\b"),
        HashingVectorizer(n_features=HASHED, ngram_range=(3, 5), analyzer="char_wb"),
    )


@lru_cache(maxsize=1)
def _projection() -> Any:
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(PROJECTION_SEED)
    columns = rng.integers(DIMENSIONS, size=HASHED * FOLDS_PER_COLUMN)
    signs = rng.choice(np.array([-1.0, 1.0]), size=len(columns)) / np.sqrt(FOLDS_PER_COLUMN)
    starts = np.arange(0, len(columns) + 1, FOLDS_PER_COLUMN)
    return csr_matrix((signs, columns, starts), shape=(HASHED, DIMENSIONS))
