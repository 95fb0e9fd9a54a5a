"""The search over heads before a training: what its job does and its run remembers."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from labeling.services.jobs import Refused, Work
from quality.models import Run

if TYPE_CHECKING:
    from mlcore.protocols import Protocol


def searched(
    work: Work,
    learned: tuple[np.ndarray, np.ndarray, np.ndarray],
    *,
    protocol: "Protocol",
    n_classes: int,
    copies: np.ndarray | None,
    times: np.ndarray,
) -> tuple["Protocol", dict[str, Any]]:
    """Return the protocol with the head to use for these vectors, and what was tried, as JSON."""
    from mlcore.search import search_head
    from mlcore.training import Cancelled

    def tell(number: int, n_heads: int) -> None:
        work.progress(number, n_heads, message=f"Trying head {number + 1} of {n_heads}", now=True)

    try:
        found = search_head(
            *learned,
            n_classes=n_classes,
            protocol=protocol,
            copies=copies,
            times=times,
            on_head=tell,
            should_stop=work.should_stop,
        )
    except Cancelled:
        work.check()
        raise
    except ValueError as impossible:  # the words are for people
        raise Refused(str(impossible)) from impossible
    heads = [asdict(one) for one in found.tried]
    return found.protocol, {"heads": heads, "n": found.n_items, "kept": found.kept}


def asked_of(run: Run, searches: bool) -> "Protocol | None":
    """Return the protocol that a run was asked for; None if only one of the two searched."""
    from mlcore.protocols import Protocol
    from mlcore.search import unsearched

    done = Protocol(**run.protocol)
    if not searches:
        return done
    return unsearched(done) if "search" in run.metrics else None
