"""Say how a head is trained and judged: which items it learns from and which it is asked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mlcore.folds import grouped_folds
from mlcore.refusals import Impossible

FOLDS, HOLD_OUT, TIME = "folds", "hold-out", "time"
SCHEMES = (FOLDS, HOLD_OUT, TIME)
FLIP, CROP, SHIFT, BRIGHTNESS = "flip", "crop", "shift", "brightness"
PITCH, STRETCH, NOISE = "pitch", "time", "noise"
CHANGES = {"image": (FLIP, CROP, SHIFT, BRIGHTNESS), "audio": (PITCH, STRETCH, NOISE), "text": ()}
"""What `mlcore.augment` can do to each kind of media, in the order in which it is done."""
SEARCHES = (0, 60, 120, 300)
"""Seconds that a search over heads may be given; 0 is none."""
TUNINGS = {"image": (0, 120, 300, 600), "audio": (0,), "text": (0,)}
"""Seconds that trying to fine-tune may be given for each kind of media; 0 is none."""
MOST_TUNED = 10_000
"""Items up to which it is offered: their maps take 110 MB, five folds of them half an hour."""
FEW_ITEMS = 500
"""Items below which folds are dealt anew several times: one draw is then partly luck."""
SHUFFLES = 3
MANY_ITEMS = 200_000
"""Items from which one part is enough to judge by: a fifth of them tells to .3 points."""
LEAST_MOMENTS = 12
"""Different times below which no order in time is offered: two a step."""


@dataclass(frozen=True)
class Protocol:
    """How a head is trained and judged; two runs compare only under equal protocols.

    Parameters
    ----------
    backbone : str
        Name of the features.
    n_folds, epochs, patience, batch : int
        `patience` counts epochs without a lower loss on held-out items; `batch` is that of
        middling sets: small ones are cut into STEPS_AN_EPOCH, large ones into fewer batches with
        as much longer steps (`mlcore.steps.stride`). `n_folds` is also the number of steps in time,
        and one part in so many is held out.
    learning_rate : float
        Of Adam, for one `batch`.
    l2 : float
        Penalty on squared weights per feature: l2 * n_features / n_items / 2, so that the same
        number suits 200 sound features and 1,280 of a network (bench/features.py).
    class_weights : bool
        Give every class the same total weight.
    seed : int
    scheme : str
        One of SCHEMES.
    shuffles : int
        How often the folds are dealt; an item's probabilities are the mean over all.
    augmentation : str
        Changes of which every learned item has a copy, joined by "+" (`mlcore.augment`).
    hidden : int
        Units of a hidden layer between features and classes; 0 is none.
    dropout : float
        Share of hidden units that each step of training leaves out.
    search : int
        CPU-seconds in which l2, hidden and dropout were searched (`mlcore.search`); 0 is not.
    tuning : int
        CPU-seconds in which fine-tuning was tried beside frozen layers; 0 is not.
    tuned : bool
        Whether the top layers of the network are trained with the head (`mlcore.tuning`).
    """

    backbone: str = ""
    n_folds: int = 5
    epochs: int = 100
    patience: int = 8
    batch: int = 256
    learning_rate: float = 0.001
    l2: float = 0.08
    class_weights: bool = True
    seed: int = 0
    scheme: str = FOLDS
    shuffles: int = 1
    augmentation: str = ""
    hidden: int = 0
    dropout: float = 0.0
    search: int = 0
    tuning: int = 0
    tuned: bool = False

    @property
    def n_heads(self) -> int:
        """How many heads are trained to judge by, where there are groups enough."""
        return 1 if self.scheme == HOLD_OUT else self.n_folds * self.shuffles


@dataclass(frozen=True)
class Division:
    """Numbers of the items that one head learns from, and of those that it is asked about."""

    seen: np.ndarray
    unseen: np.ndarray


def suited(protocol: Protocol, *, n_items: int, scheme: str = "") -> Protocol:
    """Return the protocol with the scheme that is asked for, or that the number of items suits.

    Parameters
    ----------
    protocol : Protocol
    n_items : int
        Labelled items to learn from.
    scheme : str
        One of SCHEMES; empty lets the number of items choose.

    Examples
    --------
    >>> [suited(Protocol(), n_items=n).scheme for n in (300, 3_000, 300_000)]
    ['folds', 'folds', 'hold-out']
    >>> [suited(Protocol(), n_items=n).shuffles for n in (300, 3_000)]
    [3, 1]
    """
    chosen = scheme or (HOLD_OUT if n_items >= MANY_ITEMS else FOLDS)
    shuffles = SHUFFLES if chosen == FOLDS and n_items < FEW_ITEMS else 1
    return replace(protocol, scheme=chosen, shuffles=shuffles)


def divide(
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    protocol: Protocol,
    times: np.ndarray | None = None,
) -> list[list[Division]]:
    """Return the divisions of each shuffle; no group is on both sides of any.

    Parameters
    ----------
    labels, groups : int ndarray of shape (n_items,)
        Groups as `mlcore.folds.join_groups` returns them.
    protocol : Protocol
    times : float ndarray of shape (n_items,), optional
        Needed by the scheme TIME; any one unit, NaN where not known.

    Returns
    -------
    list of list of Division
        Within a shuffle no item is asked about twice. FOLDS asks about every item, HOLD_OUT
        about one part in `n_folds`. TIME asks, step by step, about groups that begin
        in it; its heads learn the items that are no later than the step's beginning, of other
        groups. Groups that begin in the first part, and items without a time, are not asked about.

    Raises
    ------
    Impossible
        In words, where nothing can be divided so.
    """
    if protocol.scheme == TIME:
        return [_by_time(labels, groups, times, n_steps=protocol.n_folds)]
    shuffles = []
    for shuffle in range(protocol.shuffles):
        seed = protocol.seed if shuffle == 0 else (protocol.seed, shuffle)
        rng = np.random.default_rng(seed)
        folds = grouped_folds(labels, groups, n_folds=protocol.n_folds, rng=rng)
        asked = range(1 if protocol.scheme == HOLD_OUT else int(folds.max()) + 1)
        shuffles.append(
            [Division(np.flatnonzero(folds != one), np.flatnonzero(folds == one)) for one in asked]
        )
    return shuffles


def _by_time(
    labels: np.ndarray, groups: np.ndarray, times: np.ndarray | None, *, n_steps: int
) -> list[Division]:
    """Cut the time into n_steps + 1 parts with about as many items each."""
    if times is None or not np.isfinite(times).any():
        raise Impossible("No item has a date, so none is later than another.")
    known = np.flatnonzero(np.isfinite(times))
    group_of = np.unique(np.asarray(groups)[known], return_inverse=True)[1]
    first = np.full(group_of.max() + 1, np.inf)
    np.minimum.at(first, group_of, times[known])
    begins = _step_begins(times[known], n_parts=n_steps + 1)
    divisions = []
    for begin, end in zip(begins, [*begins[1:], np.inf], strict=True):
        is_asked = ((first >= begin) & (first < end))[group_of]
        seen = known[(times[known] <= begin) & ~is_asked]
        if is_asked.any() and len(np.unique(labels[seen])) > 1:
            divisions.append(Division(seen, known[is_asked]))
    if not divisions:
        raise Impossible(
            "Before every later part there are no two classes to learn from: the dates, or the "
            "sources that lie across them, leave nothing that is only older."
        )
    return divisions


def _step_begins(times: np.ndarray, *, n_parts: int) -> Sequence[float]:
    """Return the times at which parts of like size begin, without the first part."""
    places = len(times) * np.arange(1, n_parts) // n_parts
    return np.unique(np.sort(times)[places]).tolist()
