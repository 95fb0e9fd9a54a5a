"""Claim and answer over HTTP in a large round: milliseconds and CPU a request.

    WINNOW_DATA=/tmp/bench python bench/claims.py [--items 50000] [--wanted 1] [--answered 0]

Makes a dataset of empty items in the database that the settings name (its own, in WINNOW_DATA),
then claims one item and answers it, over and over, through the whole of Django, without a socket.
`--answered N`: this annotator has answered the first N items, and they are still open for others.
Prints one JSON line.
"""

import argparse
import json
import os
import statistics
import sys
import time
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402
from django.utils import timezone  # noqa: E402

from labeling.models import (  # noqa: E402
    Annotation,
    Content,
    Dataset,
    Item,
    LabelClass,
    Membership,
    Role,
    Round,
    User,
)
from labeling.services.annotations import annotator_for  # noqa: E402
from labeling.services.rounds import make_round  # noqa: E402

LOOPS = 300
ROWS_A_STATEMENT = 2_000


def prepare(*, items: int, wanted: int, answered: int) -> tuple[Round, User, int]:
    """Make a fresh dataset with one round over all of its items."""
    name = uuid.uuid4().hex[:8]
    dataset = Dataset.objects.create(slug=name, name=name, media="image")
    label = LabelClass.objects.create(dataset=dataset, name="cat", key="Digit1")
    user = User.objects.create(username=name)
    Membership.objects.create(dataset=dataset, user=user, role=Role.ANNOTATOR)
    content = Content.objects.create(sha256=name * 8, type="png", mime="image/png", size=1)
    rows = [Item(dataset=dataset, key=f"{number:07}", content=content) for number in range(items)]
    Item.objects.bulk_create(rows, batch_size=ROWS_A_STATEMENT)
    ids = list(dataset.items.order_by("pk").values_list("pk", flat=True))
    asking = make_round(
        dataset=dataset, name="bench", kind="classify", items=ids, answers_wanted=wanted
    )
    mine = annotator_for(dataset=dataset, user=user)
    Annotation.objects.bulk_create(
        [
            Annotation(round=asking, item_id=pk, annotator=mine, answer="class", label=label)
            for pk in ids[:answered]
        ],
        batch_size=ROWS_A_STATEMENT,
    )
    return asking, user, label.pk


def timed(act) -> tuple[float, float, dict]:
    """Return milliseconds, CPU milliseconds and the reply of one request."""
    start, cpu = time.perf_counter(), time.process_time()
    reply = act()
    spent = (time.perf_counter() - start) * 1e3, (time.process_time() - cpu) * 1e3
    assert reply.status_code == 200, reply.content[:300]
    return *spent, reply.json()


def summary(times: list[tuple[float, float]]) -> dict[str, float]:
    """Return the median, the 95th percentile and the mean CPU of requests, in ms."""
    wall = sorted(one for one, _ in times)
    return {
        "p50_ms": round(statistics.median(wall), 2),
        "p95_ms": round(wall[int(len(wall) * 0.95)], 2),
        "cpu_ms": round(statistics.mean(cpu for _, cpu in times), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=50_000)
    parser.add_argument("--wanted", type=int, default=1)
    parser.add_argument("--answered", type=int, default=0)
    options = parser.parse_args()
    call_command("migrate", verbosity=0)
    started = timezone.now()
    asking, user, label = prepare(**vars(options))
    made = (timezone.now() - started).total_seconds()
    client = Client(HTTP_HOST="localhost")
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    door = f"/annotate/{asking.pk}/"

    def send(name: str, body: dict) -> tuple[float, float, dict]:
        text = json.dumps(body)
        return timed(lambda: client.post(f"{door}{name}/", text, content_type="application/json"))

    claims, answers = [], []
    for _ in range(LOOPS):
        *spent, reply = send("claims", {"count": 1})
        claims.append(tuple(spent))
        given = {"client_id": str(uuid.uuid4()), "item": reply["items"][0]["item"]}
        given |= {"answer": "class", "label": label, "seconds": 1.0}
        *spent, reply = send("answers", {"answers": [given]})
        answers.append(tuple(spent))
        assert reply["answers"][0]["outcome"] == "counted", reply
    page = [timed_page(client, door)[0] for _ in range(5)]
    work = [timed_page(client, "/work/")[1] for _ in range(6)][1:]  # the first one fills caches
    result = {**vars(options), "claim": summary(claims), "answer": summary(answers)}
    result |= {"page_ms": round(statistics.median(page), 1), "made_in_s": round(made, 1)}
    result["work_cpu_ms"] = round(statistics.median(work), 1)
    print(json.dumps(result))


def timed_page(client: Client, address: str) -> tuple[float, float]:
    """Return the milliseconds and the CPU milliseconds of opening a page."""
    start, cpu = time.perf_counter(), time.process_time()
    assert client.get(address).status_code == 200
    return (time.perf_counter() - start) * 1e3, (time.process_time() - cpu) * 1e3


if __name__ == "__main__":
    main()
