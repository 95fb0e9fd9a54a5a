"""What the page of one run shows, while it trains and afterwards."""

from typing import Any

from django.utils.translation import gettext as _

from labeling.queries.success import Choice, choice_of
from labeling.templatetags.figures import share
from mlcore.protocols import Protocol
from mlcore.success import ACCURACY
from quality.models import Run
from quality.queries.augmentation import augmentation_words, mirror_words
from quality.queries.blind import BlindScore, blind_score
from quality.queries.comparisons import are_few
from quality.queries.heads import head_words, search_card
from quality.queries.leaked import without_leaks
from quality.queries.protocols import protocol_words, validation_uses
from quality.queries.run_difference import earlier_runs
from quality.queries.runs import (
    Matrix,
    arrange,
    live_detail,
    matrix_of,
    newest_imported,
    state_of,
)
from quality.queries.success import SuccessCard, costs, named, success_card, written
from quality.queries.verdict import verdict_of


def run_page(run: Run, *, fold: int = 0) -> dict[str, Any]:
    """Return matrix, scores, folds, curves and facts of a run; half full while it trains.

    `fold` chooses whose curves are drawn; 0 is the fold at hand, or the last one.
    """
    metrics, detail = run.metrics, live_detail(run)
    known = metrics or detail
    matrix = _matrix(run, metrics, detail)
    choice = choice_of(run.dataset)
    blind = blind_score(run.dataset, choice) if metrics else None
    return {
        "run": run,
        "state": state_of(run),
        "metrics": metrics,
        "facts": _facts(run, known),
        "few_groups": are_few(metrics.get("accuracy", {})),
        "leaks": without_leaks(run) if run.finished_at else None,
        "uses": validation_uses(run) if metrics and not run.is_imported else "",
        "success": _success(run, blind) if metrics else None,
        "blind": blind,
        "verdict": verdict_of(run) if metrics and not run.is_imported else None,
        "matrix": matrix,
        "early": 0 if metrics else detail.get("early", 0),
        "confused": matrix.most_confused() if matrix else [],
        "scores": _scores(run, blind)
        if metrics
        else _scores_so_far(detail, choice, is_open=bool(run.job and run.job.is_open)),
        "folds": _folds(run, metrics, detail, choice),
        "curves": _curves(metrics, detail, choice, fold=fold),
        "calibration": _calibration(metrics.get("calibration")),
        "search": search_card(metrics, run.protocol),
    }


def _matrix(run: Run, metrics: dict[str, Any], detail: dict[str, Any]) -> Matrix | None:
    """Return the matrix; an empty one stands there before the first fold, so that nothing jumps."""
    if counts := metrics.get("confusion"):
        return matrix_of(run, counts, order=metrics["order"])
    if metrics or run.finished_at or not run.classes:
        return None
    nothing = [[0] * len(run.classes) for _class in run.classes]
    # Before the arrays are written there are no items to lead to.
    return arrange(run.classes, detail.get("confusion") or nothing, order=_earlier_order(run))


def _earlier_order(run: Run) -> list[int] | None:
    """Return the order that the run before found for the same classes."""
    done = Run.objects.filter(dataset=run.dataset, number__lt=run.number, finished_at__isnull=False)
    before = done.order_by("-number").first()
    if before is None or before.classes != run.classes:
        return None
    return before.metrics.get("order")


def _facts(run: Run, known: dict[str, Any]) -> dict[str, Any]:
    backbone = known.get("backbone") or {"title": run.backbone, "note": "", "is_fallback": False}
    if run.is_imported:
        return _facts_of_imported(run, known)
    words = _(
        "%(scheme)s %(title)s, frozen, with a softmax head (%(head)s), seed %(seed)s. Test items "
        "are not looked at."
    )
    if run.protocol.get("tuned"):
        words = _(
            "%(scheme)s %(title)s, frozen but for its last block, which is trained with the "
            "softmax head, seed %(seed)s. Neighbours and copies are found by the frozen network. "
            "Test items are not looked at."
        )
    words = words % {
        "head": head_words(run.protocol),
        "scheme": protocol_words(run, known),
        "title": backbone["title"],
        "seed": run.protocol.get("seed"),
    }
    changes = augmentation_words(run.protocol.get("augmentation", ""))
    if changes and not run.protocol.get("tuned"):  # fine-tuning learns the items alone
        words += " " + _("Beside each learned item a changed copy is learned: %(changes)s.") % {
            "changes": changes
        }
    if mirror := mirror_words(known.get("mirror")):
        words += " " + mirror
    if left_out := known.get("left_out", 0):
        words += " " + _("%(n)s labelled items in no split are left out.") % {"n": left_out}
    return {
        "learned": known.get("n", 0),
        "sealed": known.get("sealed", 0),
        "protocol": words,
        "note": backbone["note"],
        "is_fallback": backbone["is_fallback"],
    }


def _facts_of_imported(run: Run, known: dict[str, Any]) -> dict[str, Any]:
    words = _(
        "Probabilities imported from %(name)s. Whether that system learned from these items is "
        "not known here. Test items are not looked at."
    ) % {"name": run.protocol.get("imported")}
    return {
        "learned": known.get("n", 0),
        "sealed": known.get("sealed", 0),
        "protocol": words,
        "note": "",
        "is_fallback": False,
    }


def _scores(run: Run, blind: BlindScore | None) -> list[dict[str, Any]]:
    metrics = run.metrics
    rows = [{"title": _("This run"), "main": True, **metrics["accuracy"]}]
    rows += [{**baseline, "title": _(baseline["title"])} for baseline in metrics["baselines"]]
    if "test" in metrics:
        rows.append({"title": _("Test items, opened"), **metrics["test"]})
    present = None if run.is_imported else newest_imported(run.dataset)
    if present:
        title = _("Present system (run %(number)s)") % {"number": present.number}
        rows.append({"title": title, **present.metrics["accuracy"]})
    if blind:
        people = blind.accuracy
        told = {"title": people.title, "value": people.value}
        rows.append({**told, "low": people.low, "high": people.high})
    return rows


def _success(run: Run, blind: BlindScore | None) -> SuccessCard | None:
    if choice_of(run.dataset) is None:
        return None
    present = None if run.is_imported else newest_imported(run.dataset)
    others = [(_("Run %(n)s, v%(v)s") % {"n": other.number, "v": other.version.number}, other)
              for other in earlier_runs(run)[:1]]  # fmt: skip
    if present and present not in [other for _title, other in others]:
        title = _("Present system (run %(number)s)") % {"number": present.number}
        others.append((title, present))
    card = success_card(run, others=others)
    if card and blind and blind.figure:
        card.figures.append(blind.figure)
    return card


def _scores_so_far(
    detail: dict[str, Any], choice: Choice | None, *, is_open: bool
) -> list[dict[str, Any]]:
    """Return the accuracy so far; above it what was chosen, where the training measures that.

    Their rows stand there from the start, so that nothing jumps.
    """
    predicted, success = detail.get("predicted", 0), detail.get("success")
    if not predicted and not is_open:
        return []
    told = [(_("Accuracy"), share(detail["right"] / predicted) if predicted else "–")]
    if choice and detail.get("curves_by") == choice.by:
        told.insert(0, (choice.title, "–" if success is None else written(choice)(success)))
    return [
        {"title": title, "words": words, "main": not n} for n, (title, words) in enumerate(told)
    ]


def _folds(
    run: Run, metrics: dict[str, Any], detail: dict[str, Any], choice: Choice | None
) -> list[dict[str, Any]]:
    """Return what each fold scored by the chosen metric, by accuracy where that was not measured.

    `by` names the metric; folds to come have no words.
    """
    scores = metrics["folds"] if metrics else detail.get("fold_scores", [])
    kept = metrics.get("success") or {}
    by, values = (metrics or detail).get("curves_by"), [fold.get("success") for fold in scores]
    if metrics and (None in values or choice is None or by != choice.by):
        by, values = kept.get("by"), kept.get("folds", [])  # chosen after it was trained
    is_told = choice is not None and by == choice.by and len(values) == len(scores)
    chosen = choice if is_told and None not in values else None
    values = values if chosen else [fold["accuracy"] for fold in scores]
    write = written(chosen)
    rows: list[dict[str, Any]] = [
        {**fold, "share": 1.0, "words": write(value)}
        for fold, value in zip(scores, values, strict=True)
    ]
    if not metrics:
        rows += _folds_to_come(run, detail, done=len(rows))
    return [{**row, "by": named(chosen)} for row in rows]


def _folds_to_come(run: Run, detail: dict[str, Any], *, done: int) -> list[dict[str, Any]]:
    folds = detail.get("folds") or (Protocol(**run.protocol).n_heads if detail else 0)
    epochs = detail.get("epochs") or 1
    rows: list[dict[str, Any]] = [
        {"epoch": epoch, "epochs": epochs, "share": epoch / epochs}
        for epoch in detail.get("at_hand", [])[: folds - done]
    ]
    return rows + [{"share": 0.0} for _place in range(folds - done - len(rows))]


def _curves(
    metrics: dict[str, Any], detail: dict[str, Any], choice: Choice | None, *, fold: int
) -> dict[str, Any] | None:
    """The curves of the fold at hand, or of the chosen one, as charts and as words."""
    if metrics:
        known = metrics["curves"]
        fold = fold if 0 < fold <= len(known) else len(known)
        curves = known[fold - 1] if known else None
    else:
        fold, curves = detail.get("curves_fold", 0), detail.get("curves")
    if not curves or not curves.get("loss"):
        return None
    epochs, lowest = len(curves["loss"]), _lowest(curves["val_loss"])
    by = (metrics or detail).get("curves_by")
    return {
        "fold": fold,
        "success": _success_curve(curves, choice, lowest=lowest)
        if choice and by == choice.by
        else None,
        "losses": _chart(curves["val_loss"], curves["loss"], lowest=lowest),
        "accuracies": {
            **_chart(curves["val_accuracy"], curves["accuracy"], lowest=lowest),
            "y_max": 1,
        },
        "fit_words": _fit_words(lowest, epochs=epochs),
        "loss_words": _("Loss after %(n)s epochs: %(both)s.")
        % {"n": epochs, "both": _held_and_own(curves["val_loss"], curves["loss"])},
        "accuracy_words": _("Accuracy: %(both)s.")
        % {"both": _held_and_own(curves["val_accuracy"], curves["accuracy"])},
    }


def _success_curve(
    curves: dict[str, Any], choice: Choice, *, lowest: int | None
) -> dict[str, Any] | None:
    """Return the chosen metric of held-out items after each epoch; accuracy has its own chart."""
    values = curves.get("val_success") or [None]
    if None in values or (choice.metric == ACCURACY and not choice.shares):
        return None
    series = [{"name": _("held out"), "values": values, "tone": "accent", "mark": lowest}]
    chart = {"x": list(range(1, len(values) + 1)), "series": series}
    note = _("Lower is better.") if costs(choice) else ""
    words = _("%(title)s after %(n)s epochs: %(value)s held out.")
    facts = {"title": choice.title, "n": len(values), "value": written(choice)(values[-1])}
    return {
        "title": choice.title,
        "chart": chart if costs(choice) else {**chart, "y_max": 1},
        "words": f"{words % facts} {note}".strip(),
    }


def _calibration(told: dict[str, Any] | None) -> dict[str, Any] | None:
    """Whether the model is right as often as it is sure, as a chart and in words."""
    if not told:
        return None
    after, before = told["after"], told.get("before")
    words = _(
        "How sure it is differs from how often it is right by %(value)s on average (%(low)s to "
        "%(high)s)."
    ) % {name: share(after[name]) for name in ("value", "low", "high")}
    if before:
        words += " " + _("Before it was calibrated on inner held-out items: %(value)s.") % {
            "value": share(before["value"])
        }
    series = [
        {"name": _("right"), "values": told["right"], "tone": "accent"},
        {"name": _("as often as sure"), "values": told["confidence"], "tone": "grey",
         "dashed": True},
    ]  # fmt: skip
    sure = [round(value, 2) for value in told["confidence"]]
    chart = {"x": sure, "x_name": _("sure"), "y_min": 0, "y_max": 1, "series": series}
    return {"words": words, "chart": chart}


def _held_and_own(held_out: list[float | None], learned: list[float]) -> str:
    """Name both ends; small sets hold nothing out."""
    own = _("%(value).3f learned from") % {"value": learned[-1]}
    if held_out[-1] is None:
        return own
    return _("%(value).3f held out") % {"value": held_out[-1]} + ", " + own


def _lowest(held_out: list[float | None]) -> int | None:
    """Return the place of the epoch with the lowest held-out loss; none where none was measured."""
    losses = [loss for loss in held_out if loss is not None]
    return losses.index(min(losses)) if losses else None


def _fit_words(lowest: int | None, *, epochs: int) -> str:
    """Say after which epoch it began to learn by heart."""
    if lowest is None:
        return ""
    if lowest == epochs - 1:
        return _("No over-fitting yet: the held-out loss is lowest at the end.")
    return _(
        "Over-fitting starts after epoch %(n)s (the dot), where the held-out loss is lowest: the "
        "head that predicts learns for so long."
    ) % {"n": lowest + 1}


def _chart(
    held_out: list[float | None], learned: list[float], *, lowest: int | None
) -> dict[str, Any]:
    series: list[dict[str, Any]] = [
        {"name": _("learned from"), "values": learned, "tone": "grey", "dashed": True}
    ]
    if None not in held_out:
        held = {"name": _("held out"), "values": held_out, "tone": "accent", "mark": lowest}
        series.insert(0, held)
    return {"x": list(range(1, len(learned) + 1)), "series": series}
