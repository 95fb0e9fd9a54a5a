"""What a training says while it goes on."""

from typing import Any

import numpy as np
import pytest

from labeling.models import Job, JobState
from labeling.services import jobs
from mlcore import steps
from quality import arrays
from quality.models import Run
from quality.queries.run_page import run_page
from quality.services import runs
from tests.quality.words import make_words

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
LEARNED = 90


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What stood in the database each time that a training of folds side by side wrote there."""
    monkeypatch.setattr(steps, "STEPS_AN_EPOCH", 0)  # of few items, too, folds learn side by side
    monkeypatch.setattr(jobs, "PROGRESS_EVERY_SECONDS", 0)
    job = jobs.open_job(kind="train", dataset=make_words(items=LEARNED), queue="train")
    states: list[dict[str, Any]] = []

    def look(_job: Job) -> None:
        run = Run.objects.select_related("job", "dataset").filter(job=job).first()
        if run and run.job:
            states.append({**run.job.detail, "page": run_page(run)})

    done = jobs.carry_out(job.pk, runs.train, watch=look)
    assert done
    assert done.state == JobState.DONE
    return states


def test_the_matrix_and_the_curves_fill_while_folds_learn_side_by_side(
    told: list[dict[str, Any]],
) -> None:
    early = [state for state in told if state["early"]]
    epochs = [state["early"] for state in early]
    assert epochs[0] == 1
    assert len(set(epochs)) > 5
    assert epochs == sorted(epochs)
    for state in early:
        assert state["last"] == 5 or state["early"] == 1  # each fold tells of its epoch itself
        assert state["fold_scores"] == []
        assert state["predicted"] == state["page"]["matrix"].total == LEARNED
        assert state["right"] == int(np.trace(state["confusion"]))
        assert abs(len(state["curves"]["val_loss"]) - state["early"]) <= 1
        assert state["page"]["curves"]
    assert early[-1]["right"] > early[0]["right"]


def test_whole_folds_take_the_place_of_what_was_said_while_they_learned(
    told: list[dict[str, Any]],
) -> None:
    whole = [state for state in told if state["fold_scores"] and not state["page"]["metrics"]]
    assert {state["early"] for state in whole} == {0}
    asked = [sum(fold["n"] for fold in state["fold_scores"]) for state in whole]
    assert [state["predicted"] for state in whole] == asked
    assert asked[-1] == LEARNED
    run = Run.objects.get()
    assert run.metrics["confusion"] == whole[-1]["confusion"]
    predicted = arrays.run_predictions(run)[1]
    assert np.bincount(predicted).tolist() == np.sum(run.metrics["confusion"], axis=0).tolist()
