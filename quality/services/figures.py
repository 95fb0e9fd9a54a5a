"""The figures of a run and of a comparison, from arrays, as JSON can hold them."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from quality.services.live import curves_of

if TYPE_CHECKING:
    from mlcore.features import Backbone
    from mlcore.intervals import Interval
    from mlcore.training import CrossValidation

CENTROID = "Nearest centroid"
MAJORITY = "Majority class"
SHUFFLES_95 = 1.96  # standard deviations of single shuffles


def baselines_of(
    found: "CrossValidation", *, features: np.ndarray, labels: np.ndarray, n_classes: int
) -> dict[str, np.ndarray]:
    """Return what needs no training, out of sample: majority classes, nearness of centroids."""
    from mlcore.baselines import majority_baseline, nearest_centroid_baseline

    divisions = found.divisions
    near = nearest_centroid_baseline(features, labels, divisions, n_classes=n_classes)
    return {MAJORITY: majority_baseline(labels, divisions), CENTROID: near}


def metrics_of(
    found: "CrossValidation",
    *,
    baselines: dict[str, np.ndarray],
    labels: np.ndarray,
    groups: np.ndarray,
    n_classes: int,
) -> dict[str, Any]:
    """Return accuracy, macro-F1, baselines, folds, curves and the matrix of a training."""
    from mlcore.intervals import macro_f1_interval

    asked = found.folds >= 0
    centroid = baselines[CENTROID][asked].argmax(axis=1) == labels[asked]
    majority = baselines[MAJORITY][asked] == labels[asked]
    predicted = found.probabilities[asked].argmax(axis=1)
    labels, groups = labels[asked], groups[asked]
    shuffles = _shuffles(found)
    macro_f1 = macro_f1_interval(labels, predicted, groups, n_classes=n_classes)
    counts = count_matrix(labels, predicted, n_classes=n_classes)
    return {
        "accuracy": _widened(accuracy(predicted == labels, groups), shuffles),
        "macro_f1": _as_json(macro_f1),
        "baselines": [
            {"title": MAJORITY, **accuracy(majority, groups)},
            {"title": CENTROID, **accuracy(centroid, groups)},
        ],
        "lead": {"over": CENTROID, **paired(centroid, predicted == labels, groups)},
        "signal": signal_of(predicted == labels, labels=labels, groups=groups),
        "calibration": _calibration(found, predicted == labels, groups=groups),
        "shuffles": shuffles,
        "folds": _folds(found),
        "curves": [curves_of(reports) for reports in _reports_by_fold(found)],
        "confusion": counts.tolist(),
        "order": similar_order(counts),
        "groups": len(np.unique(groups)),
    }


def _calibration(
    found: "CrossValidation", right: np.ndarray, *, groups: np.ndarray
) -> dict[str, Any]:
    """Return how far confidence and share right lie apart; before calibrating for one shuffle."""
    from mlcore.calibration import reliability

    asked = found.folds >= 0
    now = reliability(found.probabilities[asked].max(axis=1), right, groups)
    told = {"after": _as_json(now.error), "n": now.n.tolist()}
    told |= {"confidence": now.confidence.tolist(), "right": now.right.tolist()}
    if len(found.heads) == len(found.divisions):
        before = found.uncalibrated[asked].max(axis=1)
        told["before"] = _as_json(reliability(before, right, groups).error)
    return told


def _shuffles(found: "CrossValidation") -> list[float]:
    """Return the accuracy of each single shuffle; the run's is that of their mean probabilities."""
    heads = np.array(found.heads)
    shuffles = heads.reshape(-1, len(found.divisions), 2)
    return [float(np.average(one[:, 0], weights=one[:, 1])) for one in shuffles]


def _widened(interval: dict[str, Any], shuffles: list[float]) -> dict[str, Any]:
    """Add how much single shuffles differ to the limits: the two are independent."""
    if len(shuffles) < 2:
        return interval
    more = SHUFFLES_95 * float(np.std(shuffles, ddof=1))
    value = interval["value"]
    low, high = (math.hypot(value - interval[end], more) for end in ("low", "high"))
    return {**interval, "low": max(0.0, value - low), "high": min(1.0, value + high)}


def metrics_of_predictions(
    predicted: np.ndarray, *, labels: np.ndarray, groups: np.ndarray, n_classes: int
) -> dict[str, Any]:
    """Return what can be said of predictions that no training of ours made."""
    from mlcore.intervals import macro_f1_interval

    commonest = np.bincount(labels, minlength=n_classes).argmax()
    macro_f1 = macro_f1_interval(labels, predicted, groups, n_classes=n_classes)
    counts = count_matrix(labels, predicted, n_classes=n_classes)
    return {
        "accuracy": accuracy(predicted == labels, groups),
        "macro_f1": _as_json(macro_f1),
        "baselines": [{"title": MAJORITY, **accuracy(labels == commonest, groups)}],
        "folds": [],
        "curves": [],
        "confusion": counts.tolist(),
        "order": similar_order(counts),
        "groups": len(np.unique(groups)),
    }


def accuracy(correct: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Return the share of right items with its interval over groups."""
    from mlcore.intervals import accuracy_interval, groups_worth

    found = _as_json(accuracy_interval(correct, groups))
    return {**found, "n": len(correct), "worth": groups_worth(groups)}


def paired(
    before: np.ndarray, after: np.ndarray, groups: np.ndarray, *, is_same: bool = False
) -> dict[str, Any]:
    """Return how much more is right, on the same items, with its interval over groups.

    `is_same` says that both sides are one model: no other items would show a difference either.
    """
    from mlcore.intervals import groups_worth, paired_difference

    change = paired_difference(before, after, groups)
    return {
        "before": float(before.mean()),
        "after": float(after.mean()),
        "difference": change.value,
        "low": 0.0 if is_same else change.low,
        "high": 0.0 if is_same else change.high,
        "mcnemar": change.p_value,
        "gained": change.gained,
        "lost": change.lost,
        "n": len(before),
        "worth": groups_worth(groups),
    }


def recalls(
    before: np.ndarray,
    after: np.ndarray,
    groups: np.ndarray,
    *,
    labels: np.ndarray,
    classes: list[str],
    is_same: bool,
) -> list[dict[str, Any]]:
    """Return how much more of each class is right, with limits of both shares and the change."""
    found = []
    for place in np.unique(labels[labels >= 0]):
        rows = labels == place
        shares = {
            f"{side}_limits": accuracy(right[rows], groups[rows])
            for side, right in (("before", before), ("after", after))
        }
        change = paired(before[rows], after[rows], groups[rows], is_same=is_same)
        found.append({"name": classes[place], **change, **shares})
    return found


def signal_of(right: np.ndarray, *, labels: np.ndarray, groups: np.ndarray) -> dict[str, Any]:
    """Return whether a model is clearly better than always saying the commonest class.

    In accuracy, or in the mean recall of the classes: where one class has nearly all items, a
    model that tells the rare ones apart may be right less often and still have learned much.
    """
    from mlcore.intervals import recall_difference
    from mlcore.signal import always_commonest

    constant = always_commonest(labels)
    accuracy_lead = paired(constant, right, groups)
    recall_lead = _as_json(recall_difference(constant, right, labels, groups))
    found = accuracy_lead["low"] > 0 or recall_lead["low"] > 0
    return {"found": found, "accuracy": accuracy_lead, "recall": recall_lead}


def count_matrix(given: np.ndarray, predicted: np.ndarray, *, n_classes: int) -> np.ndarray:
    """Count items by given class (rows) and predicted class (columns)."""
    from mlcore.confusion import confusion

    return confusion(given, predicted, n_classes=n_classes)


def similar_order(counts: np.ndarray) -> list[int]:
    """Return the order of classes in which those that are confused stand together."""
    from mlcore.confusion import similarity_order

    return [int(place) for place in similarity_order(counts)]


def described(backbone: "Backbone", chosen_from: dict[str, float] | None = None) -> dict[str, Any]:
    """Return what pages say about what turned items into vectors."""
    return {
        "name": backbone.name,
        "title": backbone.title,
        "note": backbone.note,
        "is_fallback": bool(backbone.note),
        "chosen_from": chosen_from or {},
    }


def _folds(found: "CrossValidation") -> list[dict[str, Any]]:
    told = zip(found.heads, found.successes, _reports_by_fold(found), strict=True)
    folds: list[dict[str, Any]] = [
        {"accuracy": right, "n": n, "epochs": len(reports), "success": success}
        for (right, n), success, reports in told
    ]
    for fold, division in zip(folds, found.divisions, strict=False):  # of the first shuffle
        fold["learned"] = len(division.seen)
    return folds


def _reports_by_fold(found: "CrossValidation") -> list[list[Any]]:
    heads = range(len(found.heads))
    return [[report for report in found.curves if report.fold == head] for head in heads]


def _as_json(interval: "Interval") -> dict[str, float]:
    return {"value": interval.value, "low": interval.low, "high": interval.high}
