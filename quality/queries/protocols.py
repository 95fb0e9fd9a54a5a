"""How runs are judged: which scheme the next one gets, and what a page says about it."""

from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from labeling.models import Dataset, Media, Split
from labeling.templatetags.figures import share
from mlcore.protocols import (
    CHANGES,
    FEW_ITEMS,
    FOLDS,
    HOLD_OUT,
    LEAST_MOMENTS,
    MANY_ITEMS,
    MOST_TUNED,
    SCHEMES,
    SEARCHES,
    TIME,
    TUNINGS,
    Protocol,
    suited,
)
from mlcore.tuning import seconds_to_tune
from quality.models import Run


def scheme_asked(run: Run | None) -> str:
    """Return what the lead chose for a run; empty where the number of items chose."""
    return str(run.metrics.get("scheme_asked", "")) if run else ""


def scheme_of(dataset: Dataset, options: dict[str, Any]) -> str:
    """Return what a training was asked for, else what the newest one was."""
    if "scheme" in options:
        return str(options["scheme"])
    done = dataset.runs.filter(finished_at__isnull=False, is_imported=False)
    return scheme_asked(done.order_by("-number").first())


def augmentation_of(dataset: Dataset, options: dict[str, Any]) -> str:
    """Return the changes that a training was asked for, else those of the newest one."""
    if "augmentation" in options:
        return str(options["augmentation"])
    return str(_newest_protocol(dataset).get("augmentation", ""))


def search_of(dataset: Dataset, options: dict[str, Any]) -> int:
    """Return the seconds of search that a training was asked for, else those of the newest one."""
    if "search" in options:
        return int(options["search"])
    return int(_newest_protocol(dataset).get("search", 0))


def asked_by_name(
    dataset: Dataset,
    *,
    judged_by: str | None = None,
    augment: str | None = None,
    search: str | int | None = None,
    tune: str | int | None = None,
) -> dict[str, Any]:
    """Return a training job's options from what `train` and the API name them; None: as before.

    ValueError says in words what is not offered here.
    """
    asked: dict[str, Any] = {}
    if judged_by is not None:
        asked["scheme"] = _scheme_named(dataset, judged_by)
    if augment is not None:
        asked["augmentation"] = _changes_named(augment, media=dataset.media)
    if search is not None:
        asked["search"] = _seconds_named(search, SEARCHES, what="A search")
    if tune is not None:
        asked["tuning"] = _seconds_named(tune, TUNINGS[dataset.media], what="Trying to fine-tune")
    return asked


def _seconds_named(told: str | int, known: tuple[int, ...], *, what: str) -> int:
    seconds = 0 if told == "off" else int(told)
    if seconds not in known:
        if known == (0,):
            raise ValueError(f"{what} is not offered for this kind of item.")
        offered = ", ".join(str(one) for one in known[1:])
        raise ValueError(f"{what} takes {offered} seconds, or is off.")
    return seconds


def _scheme_named(dataset: Dataset, name: str) -> str:
    if name not in ("auto", *SCHEMES):
        raise ValueError(f"Runs are judged by auto, {', '.join(SCHEMES)}; not by {name}.")
    if name == TIME and not can_go_by_time(dataset):
        raise ValueError("Items with different dates are too few to go by time.")
    return "" if name == "auto" else name


def _changes_named(text: str, *, media: str) -> str:
    """Return what the protocol calls changes such as crop+shift, or off."""
    asked = set() if text in ("off", "") else set(text.split("+"))
    known = CHANGES[media]
    if unknown := sorted(asked - set(known)):
        offered = "+".join(known) or "none"
        raise ValueError(f"There is no {'+'.join(unknown)} here. Known: {offered}.")
    return "+".join(change for change in known if change in asked)


def tuning_of(dataset: Dataset, options: dict[str, Any]) -> int:
    """Return the seconds for fine-tuning that a training was asked for, else the newest one's."""
    if "tuning" in options:
        return int(options["tuning"])
    return int(_newest_protocol(dataset).get("tuning", 0))


def is_tunable(dataset: Dataset) -> bool:
    """Tell whether there is a trained network here whose top layers could be fine-tuned."""
    from mlcore.features import known_backbones

    if dataset.media != Media.IMAGE:
        return False
    return known_backbones(dataset.media, weights_folder=settings.WEIGHTS_DIR)[0].pretrained


def tuning_words(dataset: Dataset) -> str:
    """Say what fine-tuning costs if it is kept; empty where it is not offered."""
    if not is_tunable(dataset):
        return ""
    labelled = dataset.items.filter(label__isnull=False, excluded="").exclude(split=Split.TEST)
    n_items = labelled.count()
    if n_items > MOST_TUNED:
        return _("Fine-tuning is tried for up to %(n)s items.") % {"n": f"{MOST_TUNED:,}"}
    asked = suited(Protocol(), n_items=n_items)
    seconds = seconds_to_tune(n_items, asked.n_heads)
    return _(
        "Fine-tuning trains the last block of the network too, unless a trial on held-out items "
        "shows that it is clearly worse; a training then takes about %(n)s s more on one core."
    ) % {"n": f"{max(seconds, 1):,.0f}"}


def _newest_protocol(dataset: Dataset) -> dict[str, Any]:
    done = dataset.runs.filter(finished_at__isnull=False, is_imported=False)
    newest = done.order_by("-number").first()
    return newest.protocol if newest else {}


def can_go_by_time(dataset: Dataset) -> bool:
    """Tell whether labelled items have different dates enough to judge in their order."""
    dated = dataset.items.filter(label__isnull=False, excluded="", captured_at__isnull=False)
    moments = dated.order_by().values_list("captured_at", flat=True).distinct()
    return len(moments[:LEAST_MOMENTS]) == LEAST_MOMENTS


def validation_uses(run: Run) -> str:
    """Count how often figures of the labelled items served to choose, up to this run."""
    done = run.dataset.runs.filter(
        finished_at__isnull=False, is_imported=False, number__lte=run.number
    )
    chosen = list(done.values_list("metrics__backbone__chosen_from", flat=True))
    tried = sum(len(of_one or {}) for of_one in chosen)
    return _(
        "Figures out of sample served to choose so far: %(n)s (runs: %(runs)s, trials of vectors: "
        "%(tried)s). Each time makes them look a little better than use will be."
    ) % {"n": len(chosen) + tried, "runs": len(chosen), "tried": tried}


def protocol_words(run: Run, metrics: dict[str, Any]) -> str:
    """Say in sentences which heads predicted what, and why so."""
    protocol = Protocol(**run.protocol)
    words = _SCHEMES[protocol.scheme](protocol, metrics)
    n, groups = metrics.get("asked", metrics.get("n")), metrics.get("groups")
    if groups and n and groups < n:
        kept = _("Copies and sources stay together: %(n)s items in %(groups)s groups.")
        return words + " " + kept % {"n": n, "groups": groups}
    return words + " " + _("Copies and sources stay together.")


def _hold_out(protocol: Protocol, metrics: dict[str, Any]) -> str:
    reason = (
        _("chosen by hand") if metrics.get("scheme_asked") else
        _("enough to judge by from %(n)s items on") % {"n": f"{MANY_ITEMS:,}"}
    )  # fmt: skip
    return _(
        "One part in %(folds)s is held out (%(reason)s): only its items are predicted, the "
        "others are doubted by their neighbours alone."
    ) % {"folds": protocol.n_folds, "reason": reason}


def _folds(protocol: Protocol, metrics: dict[str, Any]) -> str:
    folds = {"folds": protocol.n_folds, "others": protocol.n_folds - 1}
    if protocol.shuffles == 1:
        words = _("%(folds)s folds: each item is predicted by a head that learned the other parts.")
        return words % folds
    words = _(
        "%(folds)s folds dealt %(shuffles)s times, because below %(few)s items one draw is partly "
        "luck: the mean of an item's predictions counts."
    ) % {**folds, "shuffles": protocol.shuffles, "few": FEW_ITEMS}
    if shuffles := metrics.get("shuffles"):
        words += " " + _(
            "Single draws were right on %(low)s to %(high)s, which widens the limits."
        ) % {"low": share(min(shuffles)), "high": share(max(shuffles))}
    return words


def _by_time(protocol: Protocol, metrics: dict[str, Any]) -> str:
    words = _(
        "By time, in %(steps)s steps: each is predicted by a head that learned nothing later, as "
        "it will be in use."
    ) % {"steps": len(metrics.get("folds") or []) or protocol.n_folds}
    if left := metrics.get("n", 0) - metrics.get("asked", metrics.get("n", 0)):
        words += " " + _("%(n)s items, the oldest and those without a date, are not predicted.") % {
            "n": left
        }
    return words


_SCHEMES = {HOLD_OUT: _hold_out, FOLDS: _folds, TIME: _by_time}
