"""The crowd's matrix beside a run's."""

import numpy as np
import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from labeling.models import Annotation, Role
from labeling.services import crowd, jobs
from labeling.services.versions import freeze_version
from quality import arrays
from quality.models import Run
from quality.queries.people_beside import people_beside
from tests.factories import make_dataset, make_item, make_member
from tests.quality.test_run_page import METRICS

pytestmark = pytest.mark.django_db
CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox")


@pytest.fixture
def run(tmp_path) -> Run:
    """A run that takes ants for bees and a little else, on items that people answered likewise."""
    dataset = make_dataset("pets", classes=CLASSES)
    rng = np.random.default_rng(4)
    lines, counts = ["item,annotator,answer"], np.diag([12] * 6)
    for number in range(96):
        truth = number % 6
        make_item(dataset, f"i{number:02}", CLASSES[truth])
        for person in range(6):
            is_taken = truth < 2 and rng.random() < 0.25
            said = 1 - truth if is_taken else truth
            said = int(rng.integers(6)) if rng.random() < 0.02 else said
            lines.append(f"i{number:02},p{person},{CLASSES[said]}")
    counts[0, 1], counts[1, 0], counts[2, 3] = 4, 4, 1
    counts[np.diag_indices(6)] -= counts.sum(axis=1) - 16
    (tmp_path / "answers.csv").write_text("\n".join(lines))
    call_command("import_annotations", "pets", str(tmp_path / "answers.csv"), "--json")
    version, _made = freeze_version(dataset=dataset)
    made = Run.objects.create(
        dataset=dataset, number=1, version=version, backbone="b", classes=list(CLASSES),
        protocol={"n_folds": 5, "seed": 0}, finished_at=timezone.now(),
        metrics={**METRICS, "confusion": counts.tolist(), "order": [5, 4, 3, 2, 1, 0]},
    )  # fmt: skip
    arrays.save_run(made, {"probabilities": np.full((96, 6), 1 / 6, dtype=np.float32)})
    return made


def measure(run: Run) -> None:
    job = jobs.open_job(kind="measure_crowd", dataset=run.dataset)
    assert jobs.carry_out(job.pk, crowd.measure_crowd).state == "done"


def test_no_crowd_stands_beside_a_run_before_it_was_measured(run):
    assert people_beside(run) is None


def test_where_nobody_answered_the_same_item_the_page_says_why_no_matrix_stands_beside(run, client):
    firsts = Annotation.objects.order_by("item", "pk").values_list("item", "pk")
    kept = dict(reversed(list(firsts)))
    Annotation.objects.exclude(pk__in=kept.values()).delete()
    measure(run)
    client.force_login(make_member(run.dataset, Role.LEAD))
    closer = client.get(reverse("quality:run_closer", args=["pets", 1])).text
    assert "Ask a second person in a round" in closer
    assert reverse("labeling:rounds", args=["pets"]) in closer
    assert 'class="matrix' not in closer


def test_the_crowd_stands_beside_in_the_runs_order_and_shared_pairs_are_named(run, client):
    measure(run)
    found = people_beside(run)
    assert [name for name, _url in found.people.heads] == list(reversed(CLASSES))
    assert [row.name for row in found.model.rows] == [row.name for row in found.people.rows]
    assert "bee ↔ ant" in found.shared
    assert found.people.total <= 96 * 6
    ants = found.people.rows[-1]
    taken = next(cell for cell in ants.cells if cell.predicted == "bee")
    client.force_login(make_member(run.dataset, Role.LEAD))
    opened = client.get(taken.url)
    assert f"{taken.count} answers" in opened.text
    closer = client.get(reverse("quality:run_closer", args=["pets", 1]))
    assert "Model and people" in closer.text
    assert found.words.split("(")[0] in closer.text
