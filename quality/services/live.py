"""What a training says while it goes on, so that its page fills before it is done."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from labeling.services.jobs import Work

if TYPE_CHECKING:
    from mlcore.training import EarlyReport, EpochReport, FoldReport

CURVE_DIGITS = 4


class LiveTraining:
    """Turns reports of the training into progress of its job."""

    def __init__(
        self,
        work: Work,
        *,
        labels: np.ndarray,
        n_classes: int,
        n_folds: int,
        epochs: int,
        success_of: Callable[..., float | None] | None = None,
    ) -> None:
        self.work = work
        self.labels = labels
        self.sums = np.zeros((len(labels), n_classes), dtype=np.float32)
        self.asked = np.zeros(len(labels), dtype=bool)
        self.n_folds = n_folds
        self.epochs = epochs
        self.success_of = success_of
        self.scores: list[dict[str, Any]] = []
        self.reports: dict[int, list[EpochReport]] = {}
        self.matrix: dict[str, Any] = {}

    def on_early(self, report: "EarlyReport") -> None:
        """Keep for the page what folds say, while they learn, of items that they do not learn."""
        self.sums[report.items] = report.probabilities
        self.asked[report.items] = True
        self.matrix = {**self._matrix(), "early": report.epoch + 1}

    def on_epoch(self, report: "EpochReport") -> None:
        """Show the curves of the first of the folds at hand; several may learn side by side."""
        self.reports.setdefault(report.fold, []).append(report)
        first = min(self.reports)
        self._tell(curves=curves_of(self.reports[first]), curves_fold=first + 1)

    def on_fold(self, report: "FoldReport") -> None:
        """Add a finished fold to the matrix; items asked about again count once, by their mean."""
        if not self.scores:  # what was said before the first fold was done makes room
            self.sums[:], self.asked[:] = 0, False
        self.sums[report.items] += report.probabilities
        self.asked[report.items] = True
        self.matrix = {**self._matrix(), "early": 0}
        self.n_folds = report.n_folds
        self.scores.append(
            {
                "accuracy": report.accuracy,
                "n": len(report.items),
                "epochs": report.epochs,
                "success": self._success(report.items, report.probabilities),
            }
        )
        self.reports.pop(report.fold, None)
        self._tell(fold_scores=self.scores, now=True)

    def _matrix(self) -> dict[str, Any]:
        """Return counts by given and said class of the items that were asked about."""
        from mlcore.confusion import confusion

        known = np.flatnonzero(self.asked)
        said = self.sums[known].argmax(axis=1)
        counts = confusion(self.labels[known], said, n_classes=self.sums.shape[1])
        return {
            "confusion": counts.tolist(),
            "right": int(np.trace(counts)),
            "predicted": len(known),
            "success": self._success(known, self.sums[known]),
        }

    def _success(self, items: np.ndarray, sums: np.ndarray) -> float | None:
        """Measure items by what was chosen; None where nothing was, or they cannot tell."""
        if self.success_of is None:
            return None
        found = self.success_of(self.labels[items], sums / sums.sum(axis=1, keepdims=True))
        return _rounded(found)

    def _tell(self, *, now: bool = False, **detail: Any) -> None:
        done = len(self.scores)
        at_hand = [
            self.reports[fold][-1].epoch + 1 if fold in self.reports else 0
            for fold in range(done, max(self.reports, default=-1) + 1)
        ]
        fold = min(done + 1, self.n_folds)
        last = max(fold, done + len(at_hand))
        folds = f"fold {fold}" if last == fold else f"folds {fold} to {last}"
        self.work.progress(
            done * self.epochs + sum(at_hand),
            self.n_folds * self.epochs,
            message=f"Training {folds} of {self.n_folds}",
            detail={
                "fold": fold,
                "last": last,
                "folds": self.n_folds,
                "at_hand": at_hand,
                "epochs": self.epochs,
                **self.matrix,
                **detail,
            },
            now=now,
        )


def curves_of(reports: "Sequence[EpochReport]") -> dict[str, list[float | None]]:
    """Return the curves of one fold as lists."""
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "val_success")
    return {name: [_rounded(getattr(report, name)) for report in reports] for name in names}


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(float(number), CURVE_DIGITS)
