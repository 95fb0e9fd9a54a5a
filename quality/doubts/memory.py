"""How much of a score is memory of copies and sources: said once about the whole dataset."""

import numpy as np
from django.utils.translation import gettext as _

from labeling.models import Split
from labeling.templatetags.figures import share
from mlcore.copy_sets import copy_sets
from mlcore.duplicates import LEAST_SCORE
from mlcore.folds import join_groups
from mlcore.memory import MOST_ITEMS, Memory, memory_gain, sample_of_groups
from mlcore.refusals import Impossible
from quality.queries.survey import Survey

SEED = 26
LEAST_JUDGED = 30  # items of validation; below that folds are dealt by chance
FOLDS = 3
LEAST_GAIN = 0.01  # of the accuracy; less is not worth a sentence


def say_what_memory_buys(survey: Survey) -> str:
    """Say what a head gets right where only copies and sources help; nothing where it is chance.

    Test items are sealed: they are neither learned from nor judged.
    """
    groups = groups_of(survey)
    rows = _learned(survey)
    is_divided = int((survey.splits[rows] == Split.VALIDATION).sum()) >= LEAST_JUDGED
    found = _measure(survey, rows, groups[rows], is_divided=is_divided)
    if found is None or found.gain.low <= 0 or found.gain.value < LEAST_GAIN:
        return ""
    told = {
        "recalled": share(found.recalled.value),
        "low": share(found.recalled.low),
        "high": share(found.recalled.high),
        "chance": share(found.chance),
        "score": share(found.score),
        "n": found.n,
    }
    words = (
        _("In these splits memory buys a part of the validation score.")
        if is_divided
        else _("In a split that ignores copies and sources memory would buy a part of the score.")
    )
    return (
        f"{words} "
        + _(
            "With shuffled labels a linear head is still right on %(recalled)s of %(n)s items "
            "(%(low)s to %(high)s; chance %(chance)s; real labels %(score)s). Trainings here keep "
            "them together and are free of it."
        )
        % told
    )


def groups_of(survey: Survey) -> np.ndarray:
    """Sources joined with the sets of sure copies."""
    copies: list[int | None] = [None] * len(survey)
    sure = [pair for pair in survey.copies if pair.score >= LEAST_SCORE]
    for number, items in enumerate(copy_sets(len(survey), sure)):
        for item in items:
            copies[item] = number
    return join_groups([group or None for group in survey.groups], copies)


def _learned(survey: Survey) -> np.ndarray:
    """Rows with a label in the splits that are learned from."""
    is_learned = (survey.labels >= 0) & ~survey.is_test
    if (survey.splits == Split.TRAIN).any():
        is_learned &= survey.splits != Split.NONE
    return np.flatnonzero(is_learned)


def _measure(
    survey: Survey, rows: np.ndarray, groups: np.ndarray, *, is_divided: bool
) -> Memory | None:
    if len(np.unique(groups)) == len(rows) or survey.vectors is None:
        return None
    rng = np.random.default_rng(SEED)
    chosen = sample_of_groups(groups, most=MOST_ITEMS, rng=rng)
    vectors = survey.vectors[rows[chosen]]
    is_readable = ~np.isnan(vectors).any(axis=1)
    chosen = chosen[is_readable]
    is_validation = survey.splits[rows[chosen]] == Split.VALIDATION
    folds = np.where(is_validation, 0, -1) if is_divided else rng.integers(0, FOLDS, len(chosen))
    try:
        return memory_gain(
            vectors[is_readable], survey.labels[rows[chosen]], groups[chosen], folds, rng=rng
        )
    except Impossible:  # one class, or nothing to judge: there is no score to speak of
        return None
