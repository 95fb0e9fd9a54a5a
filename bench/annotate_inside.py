"""Rows for bench/annotate_load.py, made and counted inside Django: prints one JSON line.

python bench/annotate_inside.py prepare '{"items": 50000, ...}' | tally ROUND | pause ROUND
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.conf import settings  # noqa: E402
from django.middleware.csrf import _get_new_csrf_string  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from labeling.models import (  # noqa: E402
    Annotation,
    Answer,
    Claim,
    Content,
    Dataset,
    Item,
    LabelClass,
    Membership,
    Role,
    Round,
    RoundItem,
    User,
)
from labeling.services.annotations import annotator_for  # noqa: E402
from labeling.services.gold import use_as_gold  # noqa: E402
from labeling.services.guards import decide, pause  # noqa: E402
from labeling.services.members import make_token  # noqa: E402
from labeling.services.rounds import make_round  # noqa: E402

ROWS_A_STATEMENT = 2_000
GOLD_ITEMS = 400
CLASSES = ("cat", "dog", "bird")


def prepare(options: dict[str, Any]) -> dict[str, Any]:
    """Make a dataset of texts, people with tokens and sessions, and a round over its items."""
    name = uuid.uuid4().hex[:8]
    dataset = Dataset.objects.create(slug=name, name=name, media="text")
    classes = [
        LabelClass.objects.create(dataset=dataset, name=word, key=f"Digit{place}", position=place)
        for place, word in enumerate(CLASSES, 1)
    ]
    owner = _member(dataset, f"{name}-owner", Role.OWNER)
    people = [
        _member(dataset, f"{name}-{number}", Role.ANNOTATOR) for number in range(options["people"])
    ]
    _items(dataset, options["items"], classes)
    if options["gold"]:
        some = dataset.items.order_by("pk").values_list("pk", flat=True)[:GOLD_ITEMS]
        use_as_gold(
            labels=dict.fromkeys(some, classes[0].pk), dataset=dataset, by=owner, now=timezone.now()
        )
    asking = make_round(
        dataset=dataset,
        name="load",
        kind=options["kind"],
        items=_asked(dataset, options),
        answers_wanted=options["wanted"],
        gold_every=options["gold"],
        by=owner,
    )
    for number, person in enumerate(people):
        _answered(asking, person, options["answered"] if number == 0 else 0, classes[0])
    return {
        "slug": name,
        "round": asking.pk,
        "items": asking.round_items.count(),
        "classes": [row.pk for row in classes],
        "owner": _keys_of(owner),
        "people": [_keys_of(person) for person in people],
    }


def _member(dataset: Dataset, name: str, role: str) -> User:
    user = User.objects.create(username=name)
    Membership.objects.create(dataset=dataset, user=user, role=role)
    return user


def _items(dataset: Dataset, count: int, classes: list[LabelClass]) -> None:
    for start in range(0, count, ROWS_A_STATEMENT):
        keys = [f"{number:07}" for number in range(start, min(count, start + ROWS_A_STATEMENT))]
        contents = [
            Content(
                sha256=hashlib.sha256(f"{dataset.slug} {key}".encode()).hexdigest(),
                type="text",
                mime="text/plain",
                size=40,
                text=f"Where is the card that I ordered, number {key}?",
            )
            for key in keys
        ]
        Content.objects.bulk_create(contents)
        Item.objects.bulk_create(
            [
                Item(
                    dataset=dataset,
                    key=key,
                    content=content,
                    split="train" if place % 5 else "test",
                    label=classes[place % 3],
                    label_source="import",
                )
                for place, (key, content) in enumerate(zip(keys, contents))
            ]
        )


def _asked(dataset: Dataset, options: dict[str, Any]) -> list[int]:
    """Return the items of the round by the filter and in the order that were asked for."""
    rows = dataset.items.order_by("pk")
    if options["filter"]:
        name, _, value = options["filter"].partition("=")
        rows = rows.filter(**{name: value})
    ids = list(rows.values_list("pk", flat=True))
    if options["order"] == "random":
        random.Random(1).shuffle(ids)
    return ids[::-1] if options["order"] == "newest" else ids


def _answered(asking: Round, person: User, count: int, label: LabelClass) -> None:
    """Let a person have answered the first `count` items, which stay open for others."""
    mine = annotator_for(dataset=asking.dataset, user=person)
    ids = asking.round_items.order_by("position").values_list("item_id", flat=True)[:count]
    if count and asking.answers_wanted < 2:
        raise SystemExit("--answered needs --wanted 2 or more: the items must stay open")
    Annotation.objects.bulk_create(
        [
            Annotation(round=asking, item_id=pk, annotator=mine, answer="class", label=label)
            for pk in ids
        ],
        batch_size=ROWS_A_STATEMENT,
    )
    RoundItem.objects.filter(round=asking, position__lt=count).update(taken=1)


def _keys_of(user: User) -> dict[str, str]:
    """Return what lets a person in: a token for the API, cookies for the pages."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return {
        "token": make_token(user=user, name="load")[1],
        "session": client.cookies[settings.SESSION_COOKIE_NAME].value,
        "csrf": _get_new_csrf_string(),
        "user": str(user.pk),
    }


def tally(round_id: int) -> dict[str, Any]:
    """Count what became of the answers; `wasted` are those beyond what was wanted."""
    asking = Round.objects.get(pk=round_id)
    everything = Annotation.objects.filter(round=asking).exclude(answer=Answer.SKIP)
    given = everything.filter(is_gold=False)
    standing = given.filter(withdrawn_at__isnull=True)
    counts = Counter(standing.values_list("item_id", flat=True))
    places = asking.round_items.exclude(state="gold")
    rows = list(places.values_list("item_id", "taken", "wanted"))
    held = Counter(
        Claim.objects.filter(round_item__in=places).values_list("round_item__item_id", flat=True)
    )
    return {
        "answers": standing.count(),
        "wasted": sum(max(0, n - asking.answers_wanted) for n in counts.values()),
        "gold": everything.filter(is_gold=True).count(),
        "surplus": standing.filter(is_surplus=True).count(),
        "repeated": given.filter(withdrawn_at__isnull=False).count(),
        "claims_left": sum(held.values()),
        "places_wrong": sum(
            taken != min(wanted, counts[item] + held[item]) for item, taken, wanted in rows
        ),
        "items_done": sum(counts[item] >= wanted for item, _, wanted in rows),
    }


def stop_and_resume(round_id: int) -> dict[str, Any]:
    """Pause the first person of a round for two seconds."""
    asking = Round.objects.get(pk=round_id)
    annotator = asking.dataset.annotators.order_by("pk")[0]
    pause(annotator=annotator, text="load", by=asking.created_by, now=timezone.now())
    time.sleep(2)
    decide(annotator=annotator, act="resume", by=asking.created_by, now=timezone.now())
    return {"paused": annotator.pk}


VERBS = {"tally": tally, "pause": stop_and_resume}


if __name__ == "__main__":
    verb, argument = sys.argv[1:]
    found = prepare(json.loads(argument)) if verb == "prepare" else VERBS[verb](int(argument))
    print(json.dumps(found))
