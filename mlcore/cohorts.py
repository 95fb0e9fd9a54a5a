"""Find groups of annotators who read the question differently."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mlcore.chance import p_value
from mlcore.consensus.item_prior import softmax

NULL_CROWDS = 39
"""Crowds without cohorts that the real one must all surpass: 1 in 40 does by chance."""

PERMUTATIONS = 999
"""Shuffles of a declared attribute (p-values down to .001)."""

LEAST_PEOPLE = 6
"""Annotators below which two groups cannot be told from a few people's errors."""

LEAST_GROUP = 2
"""Annotators that make a group; one is a person."""

READ_APART = 0.2
"""Share of the items that two groups are taken to read differently, before the answers."""

NAMING_A_GROUP = float(np.log(2.0))
"""Log likelihood that each person's group costs to tell (Rissanen 1978,
doi:10.1016/0005-1098(78)90005-5); two readings must gain more than that."""

DIRECTIONS = 3
"""Leading directions of the residual answers from which a split is looked for."""

MOVES = 15
"""Most rounds of people changing groups."""

CROWD_ANSWERS = 4.0
"""Weight of the crowd's accuracy in each annotator's, in answers."""


@dataclass(frozen=True)
class Cohorts:
    """Two groups of annotators, and the items that they read differently.

    Attributes
    ----------
    group : int64 ndarray of shape (n_annotators,)
        0 the larger group, 1 the smaller; -1 without answers.
    gain : float
        Log likelihood of the answers that two readings gain over one.
    by_chance : float
        The largest gain in crowds without cohorts.
    items : int64 ndarray of shape (n_apart,)
        Items that the groups read differently, the clearest first.
    answers : int64 ndarray of shape (n_apart, 2)
        What each group reads there.
    """

    group: np.ndarray
    gain: float
    by_chance: float
    items: np.ndarray
    answers: np.ndarray


def cohorts(
    items: np.ndarray,
    annotators: np.ndarray,
    answers: np.ndarray,
    *,
    n_classes: int,
    rng: np.random.Generator,
) -> Cohorts | None:
    """Return two groups who read the question differently; None where there are none.

    Each item may have two truths, one a group, that mostly coincide. People join the group
    whose truth, as the *other* members tell it, foretells their answers better. What two
    truths gain over one must surpass what they gain where the answers to each item are dealt
    out anew among the people who gave them: hard items stay hard and careless people
    careless, but nobody keeps company.

    Parameters
    ----------
    items, annotators, answers : int ndarrays of shape (n_answers,)
        Who said what about which item, all counted from 0; each annotator once an item.
    n_classes : int
    rng : numpy Generator

    Returns
    -------
    Cohorts or None
    """
    said = _Said(np.asarray(items), np.asarray(annotators), np.asarray(answers), n_classes)
    if said.n_people < LEAST_PEOPLE:
        return None
    found = _best_split(said)
    if found.gain <= NAMING_A_GROUP * said.n_people:
        return None
    right, truth, _ = _one_truth(said)
    largest = 0.0
    for _ in range(NULL_CROWDS):
        largest = max(largest, _best_split(said.dealt_out(right, truth, rng)).gain)
        if largest >= found.gain:
            return None
    apart, what = _read_apart(said, found)
    group = np.full(int(said.annotators.max()) + 1, -1)
    group[said.names] = found.group
    return Cohorts(group, found.gain, largest, apart, what)


def attribute_effect(
    items: np.ndarray,
    annotators: np.ndarray,
    answers: np.ndarray,
    attribute: np.ndarray,
    *,
    n_classes: int,
    rng: np.random.Generator,
) -> float | None:
    """Return how probable it is that a declared attribute has nothing to do with the answers.

    Parameters
    ----------
    items, annotators, answers : int ndarrays of shape (n_answers,)
    attribute : int ndarray of shape (n_annotators,)
        Declared by each annotator (first language, site, shift), as a code; -1 not declared.
    n_classes : int
    rng : numpy Generator

    Returns
    -------
    float or None
        p-value of a permutation test: people of one code agree no more with each other than
        with those of another. None with fewer than two codes of two people each.
    """
    said = _Said(np.asarray(items), np.asarray(annotators), np.asarray(answers), n_classes)
    code = np.asarray(attribute)[said.names]
    declared = code >= 0
    if (np.unique(code[declared], return_counts=True)[1] >= LEAST_GROUP).sum() < 2:
        return None
    agreement = _residual_agreement(said)[np.ix_(declared, declared)]
    code = code[declared]

    def within(codes: np.ndarray) -> float:
        return float(agreement[codes[:, None] == codes[None, :]].sum())

    observed = within(code)
    shuffled = np.array([within(rng.permutation(code)) for _ in range(PERMUTATIONS)])
    return p_value(observed, shuffled)


class _Said:
    """Answers with people numbered without gaps."""

    def __init__(
        self, items: np.ndarray, annotators: np.ndarray, answers: np.ndarray, n_classes: int
    ) -> None:
        self.items, self.annotators, self.answers = items, annotators, answers
        self.n_classes = n_classes
        self.names, people = np.unique(annotators, return_inverse=True)
        self.people = people.ravel()
        self.n_people = len(self.names)
        self.n_items = int(items.max(initial=-1)) + 1
        self.given = np.bincount(self.people, minlength=self.n_people)

    def votes(self, weights: np.ndarray) -> np.ndarray:
        """Return the sum of the weights of each answer, shape (n_items, n_classes)."""
        cells = self.items * self.n_classes + self.answers
        sums = np.bincount(cells, weights, self.n_items * self.n_classes)
        return sums.reshape(self.n_items, self.n_classes)

    def dealt_out(self, right: np.ndarray, truth: np.ndarray, rng: np.random.Generator) -> _Said:
        """Return the same answers to each item, given by its people in another order.

        The better a person, the more probably the right ones of the answers fall to them:
        by the rank of their log odds plus a logistic deviate.
        """
        luck = np.log(right / (1.0 - right))[self.people] + rng.logistic(size=len(self.items))
        wrong = self.answers != truth[self.items]
        answers = np.empty_like(self.answers)
        answers[np.lexsort((-luck, self.items))] = self.answers[
            np.lexsort((rng.random(len(wrong)), wrong, self.items))
        ]
        return _Said(self.items, self.annotators, answers, self.n_classes)


@dataclass(frozen=True)
class _Split:
    group: np.ndarray
    right: np.ndarray
    gain: float


def _best_split(said: _Said) -> _Split:
    """Return the split that gains most, from several directions."""
    directions = np.linalg.eigh(_residual_agreement(said))[1][:, -DIRECTIONS:].T
    starts = [(direction > np.median(direction)).astype(int) for direction in directions]
    best = max((_settle(said, start) for start in starts), key=lambda split: split.gain)
    return replace(best, gain=best.gain - _one_truth(said)[2])


def _residual_agreement(said: _Said) -> np.ndarray:
    """Return how much each two people agree beyond what their items' answers explain."""
    from scipy.sparse import csr_array

    shares = said.votes(np.ones(len(said.items)))
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1.0)
    residual = -shares[said.items]
    residual[np.arange(len(said.items)), said.answers] += 1.0
    row = np.repeat(said.people, said.n_classes)
    column = (said.items[:, None] * said.n_classes + np.arange(said.n_classes)).ravel()
    shape = (said.n_people, said.n_items * said.n_classes)
    table = csr_array((residual.ravel(), (row, column)), shape=shape)
    agreement = np.asarray((table @ table.T).todense())
    own = np.sqrt(np.maximum(np.diag(agreement), 1e-9))
    agreement /= own[:, None] * own[None, :]
    np.fill_diagonal(agreement, 0.0)
    return agreement


def _settle(said: _Said, group: np.ndarray) -> _Split:
    """Move people to the group that foretells them better, until nobody moves."""
    right = np.full(said.n_people, 0.8)
    for _ in range(MOVES):
        _, each = _foretold(said, group, right)
        chosen = each[group[said.people], np.arange(len(said.items))]
        right = _accuracies(said, chosen)
        scores = np.stack([_per_person(said, own, right) for own in each])
        moved = (scores[1] > scores[0]).astype(int)
        if (moved == group).all() or min(moved.sum(), (1 - moved).sum()) < LEAST_GROUP:
            break
        group = moved
    if min(group.sum(), (1 - group).sum()) < LEAST_GROUP:
        return _Split(group, right, -np.inf)
    _, each = _foretold(said, group, right)
    chosen = each[group[said.people], np.arange(len(said.items))]
    fitted = float(_per_person(said, chosen, _accuracies(said, chosen)).sum())
    return _Split(group if group.mean() <= 0.5 else 1 - group, right, fitted)


def _one_truth(said: _Said) -> tuple[np.ndarray, np.ndarray, float]:
    """Return accuracies, the truth of each item and the log likelihood, without groups."""
    everybody, right = np.zeros(said.n_people, int), np.full(said.n_people, 0.8)
    for _ in range(MOVES):
        one, _ = _foretold(said, everybody, right)
        right = _accuracies(said, one)
    weight = np.log(right * max(1, said.n_classes - 1) / (1.0 - right))[said.people]
    return right, said.votes(weight).argmax(axis=1), float(_per_person(said, one, right).sum())


def _foretold(said: _Said, group: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P(what was said is the truth), as all others tell it, and as each group does.

    Shapes (n_answers,) and (2, n_answers). The answer itself is left out everywhere.
    """
    weight = np.log(right * max(1, said.n_classes - 1) / (1.0 - right))[said.people]
    shares = said.votes(np.ones(len(said.items))).sum(axis=0) + 0.5
    beforehand = np.log(shares / shares.sum())
    line = np.arange(len(said.items))
    evidence = []
    for each in (0, 1):
        own = group[said.people] == each
        told = said.votes(weight * own)[said.items]
        told[line, said.answers] -= weight * own
        evidence.append(told)
    one = softmax(beforehand + evidence[0] + evidence[1])
    each_group = []
    for each in (0, 1):
        others = softmax(beforehand + evidence[1 - each])
        prior = (1.0 - READ_APART) * others + READ_APART * np.exp(beforehand)
        each_group.append(softmax(np.log(prior) + evidence[each])[line, said.answers])
    return one[line, said.answers], np.stack(each_group)


def _accuracies(said: _Said, truth: np.ndarray) -> np.ndarray:
    """Return P(right) of each person, shrunk to the crowd's; nobody is worse than chance."""
    total = np.bincount(said.people, truth, said.n_people)
    usual = truth.mean()
    shrunk: np.ndarray = (total + CROWD_ANSWERS * usual) / (said.given + CROWD_ANSWERS)
    return np.clip(shrunk, 1.0 / said.n_classes + 0.02, 0.98)


def _per_person(said: _Said, truth: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return each person's log likelihood, where P(what they said is the truth) is given."""
    own = right[said.people]
    likelihood = own * truth + (1.0 - own) * (1.0 - truth) / max(1, said.n_classes - 1)
    return np.bincount(said.people, np.log(likelihood), said.n_people)


def _read_apart(said: _Said, split: _Split) -> tuple[np.ndarray, np.ndarray]:
    """Return the items on which the groups' readings differ, the clearest first."""
    weight = np.log(split.right * max(1, said.n_classes - 1) / (1.0 - split.right))[said.people]
    readings = np.stack(
        [softmax(said.votes(weight * (split.group[said.people] == each))) for each in (0, 1)]
    )
    clearest = readings.max(axis=2).min(axis=0)
    said_by = readings.argmax(axis=2)
    apart = np.flatnonzero(said_by[0] != said_by[1])
    apart = apart[np.argsort(-clearest[apart], kind="stable")]
    return apart, said_by[:, apart].T
