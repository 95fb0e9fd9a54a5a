"""What pages cost on a dataset: CPU and queries, whole pages through Django, no socket.

WINNOW_DATA=... python bench/pages.py SLUG ["path below the dataset" ...]

Costs are user and system time of this process, of later visits, and the time on the clock, which
counts on quiet cores alone; the first visit and a yardstick stand beside them. `bench/large.py`
plants a dataset worth measuring.
"""

import json
import math
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

import config.asgi  # noqa: F401  (sets Django up as the web process does)
from labeling.models import Dataset, User
from quality.models import Flag
from quality.queries.facts import FACTS

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
    """CPU and wall time of a page in ms, each visit one."""

    address: str
    status: int
    first: float
    queries: int
    kb: int
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    @property
    def row(self) -> str:
        figures = (median(self.cpu), p95(self.cpu), p95(self.wall), self.first)
        told = " | ".join(f"{ms:.0f}" for ms in figures)
        return f"| `{self.address}` | {told} | {self.queries} | {self.kb} |"


def p95(times: list[float]) -> float:
    """Return what 19 of 20 visits stay below."""
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


def first_visit(client: Client, address: str) -> Cost:
    start = time.process_time()
    page = client.get(address)
    first = 1000 * (time.process_time() - start)
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
        asked = len(queries)
    return Cost(address, page.status_code, first, asked, round(len(page.getvalue()) / 1024))


def visit(client: Client, cost: Cost) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    client.get(cost.address)
    cost.cpu.append(1000 * (time.process_time() - cpu))
    cost.wall.append(1000 * (time.perf_counter() - wall))


def yardstick() -> float:
    """Return the CPU ms of reading a fixed JSON text: how fast this machine is just now."""
    text = json.dumps([{"key": f"{n:07}", "split": "train", "place": n} for n in range(20_000)])
    start = time.process_time()
    json.loads(text)
    return 1000 * (time.process_time() - start)


def main(slug: str, wanted: list[str]) -> None:
    dataset = Dataset.objects.get(slug=slug)
    client = Client(headers={"host": "127.0.0.1"})
    user = User.objects.get_or_create(username="bench", is_staff=True)[0]
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    below = [f"/d/{slug}/{page}" for page in wanted or pages_of(dataset)]
    pages = below if wanted else [*below, "/", "/work/", "/inbox/", "/system/", "/account/"]
    client.get(pages[0])  # imports and templates are no cost of a page
    costs = [first_visit(client, address) for address in pages]
    sticks = []
    for _ in range(VISITS):  # pages in turn: what else runs on the machine meets all alike
        sticks.append(yardstick())
        for cost in costs:
            visit(client, cost)
    flags = Flag.objects.filter(dataset=dataset, state="open").count()
    print(f"{dataset.items.count()} items, {flags} open flags, {VISITS} visits,", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}, yardstick {median(sticks):.1f} CPU-ms")
    print("| page | CPU-ms, median | p95 | wall ms, p95 | first CPU-ms | queries | kB |")
    print("|---|---|---|---|---|---|---|")
    for cost in sorted(costs, key=lambda cost: -median(cost.cpu)):
        print(cost.row if cost.status == 200 else f"{cost.row} status {cost.status}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
