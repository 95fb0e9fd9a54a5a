"""The search over heads before a training: what its job does and its run remembers."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from labeling.models import Dataset
from labeling.queries.success import choice_of
from labeling.services.jobs import Work
from mlcore.refusals import Impossible
from mlcore.success import ACCURACY, COST, Success
from quality.models import Run
from quality.queries.judge import success_for
from quality.services.material import stopped_in_words

if TYPE_CHECKING:
    from mlcore.protocols import Protocol


class HeadSearch:
    """Searches for a run by what its task card calls success, and tells its job so.

    `more` is what `mlcore.search.search_head` takes besides vectors, labels, groups and protocol.
    """

    def __init__(self, work: Work, run: Run, **more: Any) -> None:
        self.work = work
        self.choice = choice_of(Dataset.objects.get(pk=run.dataset_id))
        self.success, self.reason = Success(ACCURACY), ""
        try:
            if self.choice:
                self.success = success_for(self.choice, run.classes)
        except Impossible as impossible:  # the words are for people
            self.reason = str(impossible)
        self.more = {**more, "n_classes": len(run.classes), "success": self.success}

    def head(
        self, learned: tuple[np.ndarray, ...], protocol: "Protocol"
    ) -> tuple["Protocol", dict[str, Any]]:
        """Return the protocol with the head to use, and what was tried, as JSON."""
        from mlcore.search import Search, search_head

        found = Search(protocol, reason=self.reason)
        if not self.reason:
            found = self._told("Trying head", search_head, learned, protocol)
        heads = [asdict(one) for one in found.tried]
        told = {"heads": heads, "n": found.n_items, "kept": found.kept, "reason": found.reason}
        if self.choice:
            told |= {"by": self.choice.by, "title": self.choice.title}
        return found.protocol, {**told, "is_cost": self.success.metric == COST}

    def of_folds(
        self, learned: tuple[np.ndarray, ...], protocol: "Protocol"
    ) -> tuple[dict[str, Any], ...]:
        """Return the head of each fold, chosen inside what it learns; none without a search."""
        from mlcore.search import heads_of_folds

        if self.reason:
            return ()
        return self._told("Choosing for the folds, head", heads_of_folds, learned, protocol)

    def _told(
        self,
        words: str,
        search: Callable[..., Any],
        learned: tuple[np.ndarray, ...],
        protocol: "Protocol",
    ) -> Any:
        def tell(number: int, n: int) -> None:
            self.work.progress(number, n, message=f"{words} {number + 1} of {n}", now=True)

        with stopped_in_words(self.work):
            return search(
                *learned,
                protocol=protocol,
                on_head=tell,
                should_stop=self.work.should_stop,
                **self.more,
            )


def asked_of(run: Run, searches: bool) -> "Protocol | None":
    """Return the protocol that a run was asked for; None if only one of the two searched.

    A search that judged by something else than what success means now does not count either.
    """
    from mlcore.protocols import Protocol
    from mlcore.search import unsearched

    done = Protocol(**run.protocol)
    if not searches:
        return done
    told, choice = run.metrics.get("search"), choice_of(run.dataset)
    is_alike = told is not None and told.get("by") == (choice.by if choice else None)
    return unsearched(done) if is_alike else None
