"""The crowd's matrix beside a run's: are model and people confused by the same pairs?"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from django.utils.translation import gettext as _

from labeling.queries.crowd import Table, confusion_of, findings_of
from labeling.templatetags.figures import chance, share
from mlcore.confusion import pair_rates, same_pairs
from quality.models import Run
from quality.queries.runs import Matrix, arrange, items_url

SEED = 21
CLEAR = 0.05
PAIRS = 5  # most confused pairs of either that are compared by name


@dataclass(frozen=True)
class PeopleBeside:
    """A run's matrix and the crowd's over the classes that both have, in the run's order.

    Without matrices `words` say why there is nothing to compare.
    """

    words: str
    shared: str = ""
    model: Matrix | None = None
    people: Matrix | None = None


def people_beside(run: Run) -> PeopleBeside | None:
    """Return both matrices; None where no crowd was measured."""
    counts, found = run.metrics.get("confusion"), findings_of(run.dataset)
    if not counts or found is None:
        return None
    crowd = confusion_of(run.dataset, None, found)
    answered = {row.name for row in crowd.rows if row.total}
    order = run.metrics.get("order") or range(len(run.classes))
    names = [run.classes[place] for place in order if run.classes[place] in answered]
    if len(names) < 2:
        return PeopleBeside(
            _(
                "There is no matrix of people to put beside the model's: fewer than two of its "
                "classes have items that two people answered. Ask a second person in a round."
            )
        )
    places = [run.classes.index(name) for name in names]
    own = np.array(counts)[np.ix_(places, places)]
    theirs, links = _of_people(crowd, names)
    return PeopleBeside(
        model=arrange(
            names,
            own.tolist(),
            link=lambda given, predicted: items_url(run, given=given, predicted=predicted),
        ),
        people=arrange(names, theirs.tolist(), link=lambda *cell: links.get(cell, "")),
        words=_likeness(own, theirs),
        shared=_shared(own, theirs, names),
    )


def _of_people(crowd: Table, names: list[str]) -> tuple[np.ndarray, dict[tuple[str, str], str]]:
    """Return the crowd's counts of some classes, and where each cell and head leads."""
    cells = {(cell.given, cell.predicted): cell for row in crowd.rows for cell in row.cells}
    counts = np.array([[cells[given, said].count for said in names] for given in names])
    links = {names_of: cell.url for names_of, cell in cells.items()}
    links |= {("", name): url for name, url in crowd.heads}
    return counts, links | {(row.name, ""): row.url for row in crowd.rows}


def _likeness(own: np.ndarray, theirs: np.ndarray) -> str:
    """Say whether the same pairs are confused, beyond what chance gives."""
    found = same_pairs(own, theirs, rng=np.random.default_rng(SEED))
    if found is None:
        return _(
            "Too few classes, or too few mistakes, to say whether the same pairs are confused."
        )
    facts = {"value": share(found[0]), "chance": chance(found[1])}
    if found[1] < CLEAR:
        words = _(
            "Model and people are confused by the same pairs (rank correlation %(value)s, "
            "p %(chance)s): such items are hard for anybody, so look at the guideline first."
        )
    else:
        words = _(
            "No clear sign that model and people are confused by the same pairs (rank correlation "
            "%(value)s, p %(chance)s): what only the model confuses, people can teach it."
        )
    return words % facts


def _shared(own: np.ndarray, theirs: np.ndarray, names: list[str]) -> str:
    """Name the pairs that are among the most confused ones of both."""
    both = _most_confused(theirs)
    shared = [pair for pair in _most_confused(own) if pair in both]
    if not shared:
        return ""
    told = ", ".join(f"{names[first]} ↔ {names[second]}" for first, second in shared)
    return _("Among the %(n)s most confused pairs of both: %(pairs)s.") % {
        "n": PAIRS,
        "pairs": told,
    }


def _most_confused(counts: np.ndarray) -> list[tuple[int, int]]:
    rates = pair_rates(counts)
    pairs = [pair for pair in combinations(range(len(counts)), 2) if rates[pair]]
    return sorted(pairs, key=lambda pair: (-rates[pair], pair))[:PAIRS]
