"""What lies between two versions: items, labels, splits, and the people who did it."""

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from django.db.models import Count, F, Q, QuerySet, Sum
from django.utils.translation import gettext_lazy as _

from labeling.models import Annotation, LabelChange, LabelSource, Split, Version
from labeling.services.versions import read_manifest
from quality.models import Action, Decision


@dataclass(frozen=True)
class Difference:
    """How the later version differs from the earlier one, in items."""

    relabelled: int
    labelled: int
    unlabelled: int
    added: int
    left_out: int
    moved: int
    test_labels: int


def difference_between(old: Version, new: Version) -> Difference:
    """Compare two manifests line by line; test_labels counts the earlier version's test items."""
    before = {line["key"]: line for line in read_manifest(old)}
    after = {line["key"]: line for line in read_manifest(new)}
    kinds: Counter[str] = Counter()
    for key in before.keys() & after.keys():
        was, now = before[key], after[key]
        kinds["moved"] += was["split"] != now["split"]
        if was["label"] != now["label"]:
            kinds[_kind_of_change(was["label"], now["label"])] += 1
            kinds["test_labels"] += was["split"] == Split.TEST
    return Difference(
        relabelled=kinds["relabelled"],
        labelled=kinds["labelled"],
        unlabelled=kinds["unlabelled"],
        added=len(after.keys() - before.keys()),
        left_out=len(before.keys() - after.keys()),
        moved=kinds["moved"],
        test_labels=kinds["test_labels"],
    )


def work_between(old: Version, new: Version) -> dict[str, Any]:
    """Return what people did after the earlier version was frozen and before the later one."""
    taken = Decision.objects.filter(
        dataset=old.dataset, at__gt=old.created_at, at__lte=new.created_at
    )
    decisions = taken.exclude(Q(action=Action.UNDO) | Q(undone_by__isnull=False))
    spent = taken.aggregate(total=Sum("seconds"))["total"] or 0.0  # undone work took time too
    answers = Annotation.objects.filter(
        round__dataset=old.dataset,
        withdrawn_at__isnull=True,
        created_at__gt=old.created_at,
        created_at__lte=new.created_at,
    ).aggregate(n=Count("pk"), seconds=Sum("seconds"))
    by_action = [
        {
            "action": row["action"],
            "words": Action(row["action"]).label,
            "n": row["n"],
            "seconds": row["total"] or 0.0,
        }
        for row in _tallied(decisions, "action")
    ]
    people = [
        {
            "name": row["by__username"] or str(_("a command")),
            "n": row["n"],
            "seconds": row["total"] or 0.0,
        }
        for row in _tallied(decisions, "by__username")
    ]
    changes = LabelChange.objects.filter(
        item__dataset=old.dataset, at__gt=old.created_at, at__lte=new.created_at
    )
    return {
        **asdict(difference_between(old, new)),
        "decisions": sum(row["n"] for row in by_action),
        "by_action": by_action,
        "people": people,
        "label_changes": changes.count(),
        "changed_by": _changed_by(changes),
        "answers": answers["n"],
        "answer_seconds": answers["seconds"] or 0.0,
        "seconds": spent + (answers["seconds"] or 0.0),
    }


def _tallied(decisions: QuerySet[Decision], column: str) -> list[dict[str, Any]]:
    rows = decisions.values(column).annotate(n=Count("pk"), total=Sum("seconds"))
    return [dict(row) for row in rows.order_by("-n")]


def _unnamed(source: str) -> str:
    is_of_answers = source == LabelSource.CONSENSUS
    return str(_("the answers of people") if is_of_answers else _("a command"))


def _changed_by(changes: QuerySet[LabelChange]) -> list[dict[str, Any]]:
    rows = changes.order_by().values("source", name=F("by__username")).annotate(n=Count("pk"))
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row["name"] or _unnamed(row["source"])] += row["n"]
    return [{"name": name, "n": n} for name, n in counted.most_common()]


def _kind_of_change(was: str | None, now: str | None) -> str:
    if was is None:
        return "labelled"
    return "unlabelled" if now is None else "relabelled"
