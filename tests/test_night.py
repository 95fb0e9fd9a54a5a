"""A real night: beat, workers and the clock, with one of them killed in the middle of the training.

Two nights of which each begins at the next full minute: the second after a restart with another
WINNOW_NIGHT, since nobody waits a day. It takes some ten minutes.
"""

import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import Winnow, running_winnow
from tests.test_cancel import rows, running, trainer_child, until

PORT = 8145
BEAT_SECONDS = 60.0  # between two looks for news
PATIENCE_SECONDS = 300.0  # how busy a machine may be
SET_UP = """
from django.core.management import call_command
from labeling.models import Dataset
from labeling.services.datasets import set_retraining
from tests.quality.words import make_words

make_words("words", items=240)
call_command("train", "words")
set_retraining(dataset=Dataset.objects.get(slug="words"), retrain="nightly", retrain_after=1)
"""
EXCLUDE = """
from labeling.models import Dataset
from quality.services.selection import Selection, exclude

dataset = Dataset.objects.get(slug="words")
there = dataset.items.filter(excluded="").values_list("pk", flat=True)
exclude(Selection(dataset, list(there[:20]), by=None), reason="blurred")
"""
ENDED = (
    "select attempt, created_at from labeling_job where kind='train' and state='done' order by id"
)
ALL = "select id from labeling_job where kind='train'"
RUNS = """select run.number, version.number, version.items from quality_run run
join labeling_version version on run.version_id = version.id where run.finished_at is not null
order by run.number"""


@pytest.mark.slow
def test_a_night_trains_once_what_changed_and_the_next_one_nothing(
    tmp_path: Path, prepared: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepared(tmp_path / "winnow")
    winnow = Winnow(url="", data=data)
    winnow.manage("shell", "-c", SET_UP)
    winnow.manage("shell", "-c", EXCLUDE)
    night = _night_soon(monkeypatch)
    with running_winnow(data, port=PORT):
        until(lambda: running(data, "train"), seconds=PATIENCE_SECONDS)
        os.kill(until(lambda: trainer_child(data), seconds=PATIENCE_SECONDS), signal.SIGKILL)
        until(lambda: len(rows(data, ENDED)) == 2, seconds=PATIENCE_SECONDS)
        time.sleep(2 * BEAT_SECONDS)
    (_, (attempts, created)) = rows(data, ENDED)
    assert attempts == 2, "the killed one goes on"
    assert datetime.fromisoformat(created).replace(tzinfo=UTC) >= night
    trained = [(1, 1, 240), (2, 2, 220)]
    assert rows(data, RUNS) == trained
    assert rows(data, "select count(*) from labeling_version") == [(2,)]
    _night_soon(monkeypatch)
    with running_winnow(data, port=PORT):
        time.sleep(4 * BEAT_SECONDS)
        assert rows(data, RUNS) == trained
        assert len(rows(data, ALL)) == 2, "nothing changed, nothing was even begun"
        winnow.manage("shell", "-c", EXCLUDE)  # beat did look: now there is something
        until(lambda: len(rows(data, ENDED)) == 3, seconds=PATIENCE_SECONDS)
    assert rows(data, RUNS) == [*trained, (3, 3, 200)]


def _night_soon(monkeypatch: pytest.MonkeyPatch) -> datetime:
    """Let what starts from now on begin its night at the next minute that leaves time to start."""
    soon = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=2)
    monkeypatch.setenv("WINNOW_NIGHT", f"{soon:%H:%M}")
    monkeypatch.setenv("WINNOW_TIME_ZONE", "UTC")
    return soon
