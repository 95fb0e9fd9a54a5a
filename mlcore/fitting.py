"""Fit heads side by side: find on held-out groups how long, then learn everything for so long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mlcore.calibration import Calibration, fit_calibration, softmax
from mlcore.folds import grouped_folds
from mlcore.head import Head, Layers, scores_of, standards_of
from mlcore.protocols import Protocol
from mlcore.steps import Cancelled, Material, steps_an_epoch, trainer_for

FEWEST_ITEMS_TO_HOLD_OUT = 30
"""Items below which early stopping would decide on five or fewer, and is left out."""
INNER_PARTS = 6
"""One in so many training items is held out to decide when to stop."""
MOST_ASKED_EARLY = 5_000
"""Items that all heads at hand are asked about after each epoch, for people to look at."""
PATIENT_STEPS = 400
"""Steps without a lower held-out loss that are enough; large sets take hundreds an epoch."""


@dataclass(frozen=True)
class EpochReport:
    """One pass over the training part of a fold; losses in nats, accuracies 0 to 1.

    `val_loss`, `val_accuracy` and `val_success` (what `success_of` found) are of inner held-out
    items, None where there were too few.
    """

    fold: int
    epoch: int
    loss: float
    accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    val_success: float | None = None


@dataclass(frozen=True)
class EarlyReport:
    """What heads that still learn say, after `epoch`, of items that they do not learn from.

    `probabilities` float32 (n, n_classes), not calibrated, belong to `items` int64 (n,).
    """

    epoch: int
    items: np.ndarray
    probabilities: np.ndarray


#: From labels and probabilities of held-out items to what success is measured by.
SuccessOf = Callable[[np.ndarray, np.ndarray], float | None]


@dataclass
class _Fit:
    """A head in the making: numbers of the items that it learns, for how many epochs.

    `is_held_out` marks which of all items decide that, None where they would be too few.
    """

    fold: int
    part: np.ndarray
    is_held_out: np.ndarray | None
    epochs: int
    layers: Layers = ()
    calibration: Calibration = field(default_factory=Calibration)


#: A pass over all rows: loss, accuracy and layers of each head after it.
_Pass = tuple[np.ndarray, np.ndarray, Sequence[Layers]]
_Passes = Callable[[Material], Iterator[_Pass]]
_Tell = Callable[[EpochReport], None]
#: Takes the epoch and, by their place, the layers of the heads that are at it.
_Look = Callable[[int, Mapping[int, Layers]], None]


def fit_frozen(
    features: np.ndarray,
    labels: np.ndarray,
    groups: np.ndarray,
    *,
    parts: Sequence[np.ndarray],
    n_classes: int,
    protocol: Protocol,
    copies: np.ndarray | None,
    fold: int,
    on_epoch: _Tell | None,
    should_stop: Callable[[], bool] | None,
    success_of: SuccessOf | None = None,
    unseen: Sequence[np.ndarray] = (),
    on_early: Callable[[EarlyReport], None] | None = None,
) -> list[Head]:
    """Return a head for each part of the items; see `mlcore.training` for the rest.

    All learn side by side. Each finds on held-out groups of its part how long to train, then
    trains on the whole part for so long. `fold` is that of the first part. `on_early` hears what
    each says of a sample of its `unseen` items while it learns; that decides nothing.
    """
    if should_stop is not None and should_stop():
        raise Cancelled
    fits = []
    for own, part in enumerate(parts, start=fold):
        rng = np.random.default_rng((protocol.seed, own))
        is_held_out = _held_out(part, labels, groups, rng=rng)
        fits.append(_Fit(own, part, is_held_out, protocol.epochs))
    learned = _material(features, labels, fits, copies, n_classes=n_classes, protocol=protocol)

    def passes(material: Material) -> Iterator[_Pass]:
        # Drawn anew: how long others took to find their lengths must not tell in what follows.
        rng = np.random.default_rng((protocol.seed, fold, 1))
        n_heads, n_features = material.centre.shape
        trainer = trainer_for(n_features, n_classes, protocol.hidden, n_heads)
        trainer.restart(rng)
        for _ in range(protocol.epochs):
            told = trainer.pass_over(material, protocol=protocol, rng=rng, should_stop=should_stop)
            yield *told, trainer.layers()

    tell = on_epoch or (lambda report: None)
    look = _early_look(learned, unseen, seed=protocol.seed, on_early=on_early)
    _find_lengths(
        passes, learned, fits, protocol=protocol, success_of=success_of, tell=tell, look=look
    )
    _learn_all(passes, learned, fits, tell=tell, look=look)
    return [
        Head(one.layers, centre, spread, one.epochs, one.calibration)
        for one, centre, spread in zip(fits, learned.centre, learned.spread, strict=True)
    ]


def _material(
    features: np.ndarray,
    labels: np.ndarray,
    fits: Sequence[_Fit],
    copies: np.ndarray | None,
    *,
    n_classes: int,
    protocol: Protocol,
) -> Material:
    """Return the items, and behind them their copies, with what each head learns of them."""
    parts, n_items = [one.part for one in fits], len(labels)
    if copies is not None:
        features, labels = np.concatenate([features, copies]), np.tile(labels, 2)
        parts = [np.concatenate([part, part + n_items]) for part in parts]
    weights = np.zeros((len(labels), len(parts)), dtype=np.float32)
    for column, part in zip(weights.T, parts, strict=True):
        column[part] = item_weights(
            labels[part], n_classes=n_classes, balanced=protocol.class_weights
        )
    return Material(features, labels, weights, *standards_of(features, parts))


def _find_lengths(
    passes: _Passes,
    material: Material,
    fits: Sequence[_Fit],
    *,
    protocol: Protocol,
    success_of: SuccessOf | None,
    tell: _Tell,
    look: _Look,
) -> None:
    """Set after how many epochs the loss on held-out items was lowest, and what suits them."""
    places = [place for place, one in enumerate(fits) if one.is_held_out is not None]
    if not places:
        return
    watched = [fits[place] for place in places]
    kept = material.of_heads(places)
    watches = [_watch(one, kept, column, protocol=protocol) for column, one in enumerate(watched)]
    for epoch, (loss, accuracy, layers) in enumerate(passes(kept)):
        at_it = zip(places, layers, watches, strict=True)
        look(epoch, {place: own for place, own, watch in at_it if not watch.is_over})
        for column, (one, watch) in enumerate(zip(watched, watches, strict=True)):
            if not watch.is_over:
                found = watch.look(epoch, layers[column], success_of=success_of)
                own = float(loss[column]), float(accuracy[column])
                tell(EpochReport(one.fold, epoch, *own, *found))
        if all(watch.is_over for watch in watches):
            break
    for one, watch in zip(watched, watches, strict=True):
        one.epochs = watch.best
        one.calibration = fit_calibration(watch.scores, watch.answers)


def _watch(one: _Fit, kept: Material, column: int, *, protocol: Protocol) -> _Watch:
    """Take what is held out, and its copies, from what the head learns; return what watches it."""
    weights, is_held_out = kept.weights[:, column], one.is_held_out
    assert is_held_out is not None
    asked = kept.features[: len(is_held_out)][is_held_out] - kept.centre[column]
    asked /= kept.spread[column]
    importance = weights[: len(is_held_out)][is_held_out]
    weights[np.resize(is_held_out, len(weights))] = 0
    steps = steps_an_epoch(int(np.count_nonzero(weights)), batch=protocol.batch)
    patience = min(protocol.patience, -(-PATIENT_STEPS // steps))
    return _Watch(asked, kept.labels[: len(is_held_out)][is_held_out], importance, patience)


def _learn_all(
    passes: _Passes, material: Material, fits: Sequence[_Fit], *, tell: _Tell, look: _Look
) -> None:
    """Let each head learn all of its part for as long as was found."""
    longest = max(one.epochs for one in fits)
    untold = [place for place, one in enumerate(fits) if one.is_held_out is None]
    for epoch, (loss, accuracy, layers) in zip(range(longest), passes(material)):
        look(epoch, {place: layers[place] for place in untold})
        for place, one in enumerate(fits):
            if epoch < one.epochs:
                one.layers = layers[place]
                if one.is_held_out is None:  # else the curve that shows both losses was told
                    own = float(loss[place]), float(accuracy[place])
                    tell(EpochReport(one.fold, epoch, *own, None, None))


def _early_look(
    material: Material,
    unseen: Sequence[np.ndarray],
    *,
    seed: int,
    on_early: Callable[[EarlyReport], None] | None,
) -> _Look:
    """Return what asks each head about the same few of its unseen items after each epoch."""
    if on_early is None:
        return lambda epoch, layers: None
    rng, most = np.random.default_rng(seed), MOST_ASKED_EARLY // len(unseen)
    drawn = [np.sort(rng.permutation(items)[:most]) for items in unseen]
    standards = zip(drawn, material.centre, material.spread, strict=True)
    asked = [(material.features[items] - centre) / spread for items, centre, spread in standards]

    def look(epoch: int, layers: Mapping[int, Layers]) -> None:
        if layers:
            items = np.concatenate([drawn[place] for place in layers])
            scores = [scores_of(asked[place], own) for place, own in layers.items()]
            on_early(EarlyReport(epoch, items, softmax(np.concatenate(scores))))

    return look


@dataclass
class _Watch:
    """Held-out items of one head, and how well it has done on them so far."""

    asked: np.ndarray
    answers: np.ndarray
    importance: np.ndarray
    patience: int
    best: int = 1
    lowest: float = np.inf
    scores: np.ndarray = field(default_factory=lambda: np.empty(0))
    is_over: bool = False

    def look(
        self, epoch: int, layers: Layers, *, success_of: SuccessOf | None
    ) -> tuple[float, float, float | None]:
        """Return what `judged` finds after an epoch, and remember the best."""
        scores = scores_of(self.asked, layers)
        found = judged(scores, self.answers, self.importance, success_of=success_of)
        if found[0] < self.lowest:
            self.lowest, self.best, self.scores = found[0], epoch + 1, scores
        self.is_over = epoch + 1 - self.best >= self.patience
        return found


def judged(
    scores: np.ndarray,
    answers: np.ndarray,
    importance: np.ndarray,
    *,
    success_of: SuccessOf | None,
) -> tuple[float, float, float | None]:
    """Return loss, accuracy and success on held-out items."""
    told = softmax(scores)
    surprise = -np.log(told[np.arange(len(answers)), answers] + 1e-12)
    return (
        float((surprise * importance).sum() / importance.sum()),
        float((told.argmax(axis=1) == answers).mean()),
        None if success_of is None else success_of(answers, told),
    )


def item_weights(labels: np.ndarray, *, n_classes: int, balanced: bool) -> np.ndarray:
    """Return weights of mean 1 that give every class present the same total."""
    if not balanced:
        return np.ones(len(labels), dtype=np.float32)
    counts = np.bincount(labels, minlength=n_classes)
    present = np.count_nonzero(counts)
    return (len(labels) / (present * counts[labels])).astype(np.float32)


def held_out_of(
    labels: np.ndarray, groups: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray | None:
    """Mark whole groups to decide on when to stop; None where that leaves too little."""
    if len(labels) < FEWEST_ITEMS_TO_HOLD_OUT or len(np.unique(groups)) < 2:
        return None
    held_out = grouped_folds(labels, groups, n_folds=INNER_PARTS, rng=rng) == 0
    return held_out if len(np.unique(labels[~held_out])) > 1 else None


def _held_out(
    part: np.ndarray, labels: np.ndarray, groups: np.ndarray, *, rng: np.random.Generator
) -> np.ndarray | None:
    """Mark among all items those of a part that are held out; None where they are too few."""
    of_part = held_out_of(labels[part], groups[part], rng=rng)
    if of_part is None:
        return None
    is_held_out = np.zeros(len(labels), dtype=bool)
    is_held_out[part[of_part]] = True
    return is_held_out
