"""Comparing parts of a dataset: every two values of a column, or two filters of Browse."""

from typing import Any

import numpy as np

from labeling.services.jobs import Refused, Work
from mlcore.duplicates import Pair
from mlcore.shifts import Shift, find_shifts
from quality import copy_pairs
from quality.detectors import KINDS, PART_SHIFT, titles
from quality.doubts.shifts import LISTED, SEED, copy_numbers, differing, shift_doubt, source_words
from quality.queries.parts import SOURCE, parts_of
from quality.queries.runs import newest_done
from quality.queries.splits import copies_of
from quality.queries.survey import Survey, survey_of
from quality.services import flags, graph

MOST_PROPERTIES = 4


def compare_parts(work: Work) -> dict[str, Any]:
    """Say how parts differ and ask about those that surely do: the body of its job."""
    dataset = work.job.dataset
    if dataset is None:
        raise Refused("This job names no dataset.")
    work.progress(message="Reading the items", now=True)
    survey = survey_of(dataset)
    parts = parts_of(survey, work.options, kinds=titles())
    shifts: list[Shift] = []
    if len(parts.sizes) > 1:
        survey = graph.with_vectors(work, survey, run=newest_done(dataset))
        work.progress(0, 0, message="Comparing the parts", now=True)
        is_by_source = work.options["by"] == SOURCE  # then what is dealt are items, not sources
        shifts = find_shifts(
            survey.labels,
            parts.names,
            groups=[""] * len(survey) if is_by_source else survey.groups,
            copies=copy_numbers(survey, _known_copies(survey)),
            vectors=survey.vectors,
            rng=np.random.default_rng(SEED),
        )
    sure = [shift_doubt(survey, shift) for shift in shifts if shift.is_sure]
    flags.store(work, survey, kind=KINDS[PART_SHIFT], doubts=sure)
    return {
        "by": work.options["words"],
        "parts": parts.sizes,
        "in_both": parts.in_both,
        "shifts": [_told(survey, shift) for shift in shifts],
    }


def _known_copies(survey: Survey) -> list[Pair]:
    """Copies that the last check found, by rows."""
    row_of = {pk: row for row, pk in enumerate(survey.ids)}
    sure = copies_of(survey.dataset, copy_pairs.load_pairs(survey.dataset.pk) or [])
    return [
        Pair(row_of[pair.first], row_of[pair.second], pair.score, pair.evidence, "")
        for pair in sure
        if pair.first in row_of and pair.second in row_of
    ]


def _told(survey: Survey, shift: Shift) -> dict[str, Any]:
    return {
        "cause": shift.cause,
        "parts": shift.parts,
        "size": shift.size,
        "p_value": shift.p_value,
        "is_sure": shift.is_sure,
        "n": shift.n_items,
        "properties": differing(survey, shift)[:MOST_PROPERTIES],
        "note": source_words(shift),
        "typical": [[survey.ids[row] for row in side[:LISTED]] for side in shift.typical],
    }
