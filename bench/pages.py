"""What pages cost on a dataset: CPU and queries, whole pages through Django, no socket.

WINNOW_DATA=... python bench/pages.py SLUG ["path below the dataset" ...] [--after WHAT]

Costs are user and system time of this process, of later visits, and the time on the clock, which
counts on quiet cores alone; the first visit and a yardstick stand beside them. With `--after`
each visit is the first one since something happened: `start` (of the process), `decision` (a doubt
kept, relabelled or excluded by turns), `answer` (which labels its item); the last two write to the
database that is measured. `bench/large.py` plants a dataset worth measuring.
"""

import argparse
import gc
import json
import math
import os
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

import config.asgi  # noqa: F401  (sets Django up as the web process does)
from labeling.models import Dataset, RoundItem, User
from labeling.services.annotations import annotator_for, record_annotation
from labeling.services.rounds import make_round
from quality.models import Action, Flag
from quality.queries.facts import FACTS
from quality.queries.review import first_open
from quality.services.second import decide

VISITS = int(os.environ.get("VISITS", "20"))
DIFFERENCE = "versions/difference/?old=1&new=2"


def pages_of(dataset: Dataset) -> list[str]:
    """Return the pages that people open all day, the middle and the end of Browse among them."""
    ids = dataset.items.order_by("pk").values_list("pk", flat=True)
    count = dataset.items.count()
    middle = ids[count // 2]
    fact = FACTS[dataset.media][0].name
    queues = Flag.objects.filter(dataset=dataset, state="open").values_list("kind", flat=True)
    kinds = sorted(set(queues.order_by()))
    sorts = ("", "?sort=key", "?sort=suspicious", f"?sort={fact}", f"?sort=-{fact}")
    narrowed = ("?split=test", "?flag=any", "?odd=1", "?run=1&read=wrong", "?q=0012")
    browse = (*sorts, f"?after={middle}", "?before=end", *narrowed, f"?fact={fact}&min=100&max=150")
    return [
        "",
        *(f"browse/{query}" for query in browse),
        f"browse/?like={middle}",
        "browse/?random=1",
        "browse/histogram/",
        "browse/counts/",
        "browse/counts/?split=test&flag=any",
        f"items/{middle}/",
        f"items/{middle}/?sort=suspicious",
        f"items/{middle}/?sort={fact}",
        f"items/{middle}/files/",
        "checks/",
        "report/",
        "augmentation/",
        "second/",
        "runs/blind/",
        "settings/success/",
        "settings/merge/",
        "settings/delete/",
        "withdraw/",
        "rounds/new/",
        "crowd/agreement/",
        "crowd/readings/",
        *(f"crowd/{pk}/" for pk in dataset.memberships.values_list("user_id", flat=True)[:2]),
        "splits/",
        "splits/hash/test/train/",
        "splits/group/test/train/",
        "splits/time/test/train/",
        "review/",
        *(f"review/{kind}/" for kind in kinds),
        "decisions/",
        "disputes/",
        "rounds/",
        *(f"rounds/{pk}/" for pk in dataset.rounds.values_list("pk", flat=True)[:2]),
        "crowd/",
        "crowd/answers/",
        "gold/",
        "pauses/",
        "versions/",
        *([DIFFERENCE, f"{DIFFERENCE}&kind=moved"] if dataset.versions.count() > 1 else []),
        "runs/",
        *(["runs/1/"] if dataset.runs.filter(number=1).exists() else []),
        "before-after/",
        "import/",
        *(f"uploads/{pk}/" for pk in dataset.uploads.values_list("pk", flat=True)[:1]),
        "members/",
        "settings/",
    ]


@dataclass
class Cost:
    """CPU and wall time of a page in ms, each visit one; `first` is CPU alone."""

    address: str
    status: int = 0
    first: float = 0.0
    queries: int = 0
    kb: int = 0
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @property
    def row(self) -> str:
        figures = (median(self.cpu), p95(self.cpu), p95(self.wall), self.first)
        told = " | ".join(f"{ms:.0f}" for ms in figures)
        row = f"| `{self.address}` | {told} | {self.queries} | {self.kb} |"
        return row if self.status == 200 else f"{row} status {self.status}"


def p95(times: list[float]) -> float:
    """Return what 19 of 20 visits stay below."""
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


def look(client: Client, cost: Cost) -> None:
    """Visit a page once, and again to count its queries."""
    start = time.process_time()
    page = client.get(cost.address)
    cost.first = 1000 * (time.process_time() - start)
    with CaptureQueriesContext(connection) as queries:
        client.get(cost.address)
        cost.queries = len(queries)
    cost.status, cost.kb = page.status_code, round(len(page.getvalue()) / 1024)


def visit(client: Client, address: str) -> tuple[float, float]:
    """Return what one visit takes, in ms of CPU and of the clock."""
    cpu, wall = time.process_time(), time.perf_counter()
    client.get(address)
    return 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)


def visit_after_start(client: Client, address: str) -> tuple[float, float]:
    """Visit a page in a process that has shown no page of a dataset yet."""
    connection.close()
    ours, theirs = get_context("fork").Pipe(duplex=False)
    started = get_context("fork").Process(target=tell_visit, args=(client, address, theirs))
    started.start()
    told: tuple[float, float] = ours.recv()
    started.join()
    return told


def tell_visit(client: Client, address: str, to: Connection) -> None:
    """Visit a page in a fork that has memory of its own, as a started process has.

    What a fork shares is copied when it is written, which took 10 to 30 CPU-ms of each visit;
    looking for garbage writes to all objects.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    to.send(visit(client, address))


def decisions_of(dataset: Dataset, user: User) -> Callable[[], None]:
    """Return what decides the worst doubt about a label, each time in another way."""
    actions = cycle((Action.KEEP, Action.RELABEL, Action.EXCLUDE))
    classes = list(dataset.classes.order_by("name")[:2])

    def decide_one() -> None:
        flag = first_open(dataset, "label_error")
        assert flag
        label = next(label for label in classes if label.name != flag.given)
        chosen = {"action": next(actions), "label": label, "test_confirmed": True}
        decide(flag=flag, reviewer=user, leads=True, seconds=2.0, **chosen)

    return decide_one


def answers_of(dataset: Dataset, user: User) -> Callable[[], None]:
    """Return what answers the next item of a round that labels an item by one answer."""
    items = list(dataset.items.order_by("-pk").values_list("pk", flat=True)[: 100 * VISITS])
    asking = make_round(
        dataset=dataset, name="bench", kind="classify", items=items, answers_wanted=1
    )
    annotator, labels = annotator_for(dataset=dataset, user=user), cycle(dataset.classes.all())
    places = RoundItem.objects.filter(round=asking).order_by("pk").iterator()

    def answer_one() -> None:
        record_annotation(
            round=asking,
            item=next(places).item_id,
            annotator=annotator,
            client_id=uuid.uuid4(),
            answer="class",
            label=next(labels),
            now=timezone.now(),
        )

    return answer_one


HAPPENINGS = {"decision": decisions_of, "answer": answers_of}


def yardstick() -> float:
    """Return the CPU ms of reading a fixed JSON text: how fast this machine is just now."""
    text = json.dumps([{"key": f"{n:07}", "split": "train", "place": n} for n in range(20_000)])
    start = time.process_time()
    json.loads(text)
    return 1000 * (time.process_time() - start)


def main(slug: str, wanted: list[str], after: str) -> None:
    dataset = Dataset.objects.get(slug=slug)
    client = Client(headers={"host": "127.0.0.1"})
    user = User.objects.get_or_create(username="bench", is_staff=True)[0]
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    below = [f"/d/{slug}/{page}" for page in wanted or pages_of(dataset)]
    pages = below if wanted else [*below, "/", "/work/", "/inbox/", "/system/", "/account/"]
    client.get("/account/")  # imports and templates are no cost of a page
    costs = [Cost(address) for address in pages]
    happen = HAPPENINGS[after](dataset, user) if after in HAPPENINGS else lambda: None
    once = visit_after_start if after == "start" else visit
    if after != "start":
        for cost in costs:
            look(client, cost)
    sticks = []
    for _ in range(VISITS):  # pages in turn: what else runs on the machine meets all alike
        sticks.append(yardstick())
        for cost in costs:
            happen()
            cpu, wall = once(client, cost.address)
            cost.cpu.append(cpu)
            cost.wall.append(wall)
    if after == "start":  # looked at earlier, this process and its forks would know them
        for cost in costs:
            look(client, cost)
    flags = Flag.objects.filter(dataset=dataset, state="open").count()
    print(f"{dataset.items.count()} items, {flags} open flags, {VISITS} visits,", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}, yardstick {median(sticks):.1f} CPU-ms")
    print("| page | CPU-ms, median | p95 | wall ms, p95 | first CPU-ms | queries | kB |")
    print("|---|---|---|---|---|---|---|")
    for cost in sorted(costs, key=lambda cost: -median(cost.cpu)):
        print(cost.row)


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("slug")
    reader.add_argument("pages", nargs="*", help="paths below the dataset; all when none")
    reader.add_argument("--after", default="", choices=("start", *HAPPENINGS))
    asked = reader.parse_args()
    main(asked.slug, asked.pages, asked.after)
