"""Which lines of a version a run counts where, and which items those speak of."""

import numpy as np

from labeling.models import Version
from labeling.services.versions import columns_of
from labeling.version_columns import NONE
from quality import arrays
from quality.models import Run


def rows_where(run: Run, *, given: str = "", predicted: str = "", read: str = "") -> np.ndarray:
    """Return the rows that a run predicted, with a given and a predicted class; empty means any.

    `read` narrows them to those that it read "right" or "wrong".
    """
    probabilities = arrays.run_array(run, "probabilities")
    if probabilities is None or (predicted and predicted not in run.classes):
        return np.empty(0, np.int64)
    guesses = arrays.predicted_classes(probabilities)
    columns = columns_of(run.version)
    chosen = guesses >= 0
    if given:
        chosen &= columns.is_labelled(given)
    if predicted:
        chosen &= guesses == run.classes.index(predicted)
    if read:
        right = columns.labels_in(run.classes) == guesses
        chosen &= right if read == "right" else ~right
    return np.flatnonzero(chosen)


def items_at(version: Version, rows: np.ndarray) -> list[int]:
    """Return the items (by id) that lines of a version speak of."""
    found = columns_of(version).items[rows]
    there: list[int] = found[found != NONE].tolist()
    return there
