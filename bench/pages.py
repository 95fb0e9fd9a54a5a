"""What pages cost on a dataset: CPU and queries, whole pages through Django, no socket.

WINNOW_DATA=... python bench/pages.py SLUG ["path below the dataset" ...]
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

REPEATS = 7


def pages_of(dataset: Dataset) -> list[str]:
    """Return the pages that people open all day, the middle and the end of Browse among them."""
    ids = dataset.items.order_by("pk").values_list("pk", flat=True)
    count = dataset.items.count()
    middle = ids[count // 2]
    queues = Flag.objects.filter(dataset=dataset, state="open").values_list("kind", flat=True)
    kinds = sorted(set(queues.order_by()))
    browse = ("", "?sort=key", "?sort=suspicious", f"?after={middle}", "?before=end")
    return [
        "",
        *(f"browse/{query}" for query in (*browse, "?split=test", "?flag=any", "?odd=1")),
        "browse/histogram/",
        "browse/counts/",
        f"items/{middle}/",
        f"items/{middle}/?sort=suspicious",
        "checks/",
        "review/",
        *(f"review/{kind}/" for kind in kinds),
        "rounds/",
        "versions/",
        "runs/",
        "before-after/",
        "members/",
        "settings/",
    ]


def measured(client: Client, address: str) -> dict[str, float]:
    """Return the status, median and worst CPU ms, queries and size of a page, after one visit."""
    with CaptureQueriesContext(connection) as queries:
        first = client.get(address)
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
    for address in below if wanted else [*below, "/", "/work/", "/system/"]:
        print(f"{address:48} {measured(client, address)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
