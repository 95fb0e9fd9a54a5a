"""What pages cost on a dataset: CPU and queries, whole pages through Django, no socket.

WINNOW_DATA=... python bench/pages.py SLUG ["path below the dataset" ...]

Costs are user and system time of this process, of later visits; the first visit stands beside
them. `bench/large.py` plants a dataset worth measuring.
"""

import os
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402

from labeling.models import Dataset, User  # noqa: E402
from quality.models import Flag  # noqa: E402
from quality.queries.facts import FACTS  # noqa: E402

REPEATS = 7
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


def measured(client: Client, address: str) -> dict[str, float]:
    """Return status, median, worst and first CPU ms, queries and size of a page."""
    start = time.process_time()
    first = client.get(address)
    cold = 1000 * (time.process_time() - start)
    with CaptureQueriesContext(connection) as queries:
        client.get(address)
        asked = len(queries)
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        client.get(address)
        times.append(1000 * (time.process_time() - start))
    return {
        "status": first.status_code,
        "cpu_ms": round(statistics.median(times), 1),
        "worst_ms": round(max(times), 1),
        "first_ms": round(cold, 1),
        "queries": asked,
        "kb": round(len(first.getvalue()) / 1024),
    }


def main(slug: str, wanted: list[str]) -> None:
    dataset = Dataset.objects.get(slug=slug)
    client = Client(headers={"host": "127.0.0.1"})
    user = User.objects.get_or_create(username="bench", is_staff=True)[0]
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    flags = Flag.objects.filter(dataset=dataset, state="open").count()
    print(f"{dataset.items.count()} items, {flags} open flags; CPU, median of {REPEATS}")
    below = [f"/d/{slug}/{page}" for page in wanted or pages_of(dataset)]
    pages = below if wanted else [*below, "/", "/work/", "/inbox/", "/system/", "/account/"]
    client.get(pages[0])  # imports and templates are no cost of a page
    found = {}
    for address in pages:
        found[address] = measured(client, address)
        print(f"{address:48} {found[address]}", flush=True)
    print("Dearest first:")
    for address, figures in sorted(found.items(), key=lambda pair: -pair[1]["cpu_ms"]):
        print(f"{figures['cpu_ms']:8} {address}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
