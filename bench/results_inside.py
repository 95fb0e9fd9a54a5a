"""What no command does: review a queue with the truth, accuracy by source, a log-in cookie.

Run by bench/results.py as a process of its own, because WINNOW_DATA is read at start.
Prints one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402

from labeling.models import Dataset, Item, LabelSource, User  # noqa: E402
from labeling.services import labels  # noqa: E402
from labeling.services.versions import freeze_version, read_manifest  # noqa: E402
from quality import arrays  # noqa: E402
from quality.models import Action, Flag  # noqa: E402
from quality.queries.flags import review_queue  # noqa: E402
from quality.queries.runs import newest_done  # noqa: E402
from quality.services.decisions import decide_flag  # noqa: E402

Truth = dict[str, dict[str, str]]


def read_truth(path: Path) -> Truth:
    """Return the rows of a table with the columns key, label and unusable (empty: it is fine)."""
    with path.open(newline="") as file:
        return {row["key"]: row for row in csv.DictReader(file)}


def review(options: argparse.Namespace) -> dict[str, Any]:
    """Decide the first `count` flags of a queue as somebody would who knows the truth."""
    dataset, truth = Dataset.objects.get(slug=options.name), read_truth(options.truth)
    reviewer, _ = User.objects.get_or_create(username="truth")
    classes = {found.name: found for found in dataset.classes.all()}
    about = {flag: flag.flag_items.get().item.key for flag in review_queue(dataset, options.kind)}
    queue = [flag for flag, key in about.items() if key in truth]  # test items stay as they are
    tally: Counter[str] = Counter()
    for flag in queue[: options.count]:
        row = truth[about[flag]]
        action, label = Action.KEEP, None
        if row["unusable"]:
            action = Action.EXCLUDE
        elif flag.given and row["label"] != flag.given:
            action, label = Action.RELABEL, classes[row["label"]]
        tally[str(action)] += 1
        tally["suggestion_right"] += action == Action.RELABEL and flag.suggested == row["label"]
        decide_flag(flag=flag, reviewer=reviewer, action=action, label=label)
    version, _ = freeze_version(dataset=dataset, by=reviewer, note="reviewed with the truth")
    return {
        "queue": len(queue),
        "likely": sum(flag.is_likely for flag in queue),
        "reviewed": len(queue[: options.count]),
        **tally,
        "version": version.number,
    }


def correct_all(options: argparse.Namespace) -> dict[str, Any]:
    """Give every item its true label and exclude what is unusable: the most that review can do."""
    dataset, truth = Dataset.objects.get(slug=options.name), read_truth(options.truth)
    classes = {found.name: found for found in dataset.classes.all()}
    items = {item.key: item.pk for item in Item.objects.filter(dataset=dataset)}
    known = [(pk, truth[key]) for key, pk in items.items() if key in truth]
    changed = labels.set_labels(
        labels={pk: classes[row["label"]] for pk, row in known}, source=LabelSource.REVIEW
    )
    unusable = [pk for pk, row in known if row["unusable"]]
    labels.exclude_items(items=unusable, reason="known unusable")
    version, _ = freeze_version(dataset=dataset, note="everything as it truly is")
    return {"relabelled": changed, "excluded": len(unusable), "version": version.number}


def by_source(options: argparse.Namespace) -> dict[str, Any]:
    """Return the out-of-sample accuracy of the newest run for every source group."""
    run = newest_done(Dataset.objects.get(slug=options.name))
    assert run
    _, predicted, _ = arrays.run_predictions(run)
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for line, guess in zip(read_manifest(run.version), predicted.tolist(), strict=True):
        if guess >= 0:
            seen[line["group"]] += 1
            right[line["group"]] += run.classes[guess] == line["label"]
    shares = {group: round(right[group] / seen[group], 4) for group in sorted(seen)}
    return {"accuracy": shares, "n": dict(seen), "chosen_from": run.metrics["backbone"]}


def queue(options: argparse.Namespace) -> dict[str, Any]:
    """Return a queue worst first: score, keys and reason of each flag."""
    found = review_queue(Dataset.objects.get(slug=options.name), options.kind)
    return {"flags": [_flag_row(flag) for flag in found[: options.count]], "n": found.count()}


def _flag_row(flag: Flag) -> dict[str, Any]:
    keys = sorted(row.item.key for row in flag.flag_items.select_related("item"))
    return {"score": round(flag.score, 4), "likely": flag.is_likely, "keys": keys,
            "suggested": flag.suggested, "reason": flag.reason}  # fmt: skip


def report(options: argparse.Namespace) -> dict[str, Any]:
    """Return what became of every file of the newest import."""
    upload = Dataset.objects.get(slug=options.name).uploads.order_by("-pk")[0]
    rows = upload.entries.order_by("name").select_related("item__content")
    return {"entries": [_entry_row(entry) for entry in rows]}


def _entry_row(entry: Any) -> dict[str, Any]:
    content = entry.item.content if entry.item else None
    odd = entry.item.odd if entry.item else []
    return {
        "file": entry.name,
        "outcome": entry.outcome,
        "code": entry.code,
        "reason": entry.reason or " ".join(reason for _, reason in odd),
        "odd": [code for code, _ in odd],
        "type": content.type if content else "",
        "facts": content.facts if content else {},
    }


def cookie(options: argparse.Namespace) -> dict[str, Any]:
    """Log a new superuser in and return the session's cookie."""
    user, _ = User.objects.get_or_create(username="operator", is_staff=True, is_superuser=True)
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[-1]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    return {"name": settings.SESSION_COOKIE_NAME, "value": session.session_key}


VERBS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "review": review,
    "correct_all": correct_all,
    "by_source": by_source,
    "queue": queue,
    "report": report,
    "cookie": cookie,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("name")
    parser.add_argument("--kind", default="label_error")
    parser.add_argument("--count", type=int)
    parser.add_argument("--truth", type=Path)
    asked = parser.parse_args()
    print(json.dumps(VERBS[asked.verb](asked)))
