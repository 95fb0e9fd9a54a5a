"""Time the queries of Browse on a dataset: first page, last page, counts, histogram.

WINNOW_DATA=... python bench/browse.py SLUG ["query string" ...]
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
import django

django.setup()

from django.http import QueryDict  # noqa: E402
from django.test import Client  # noqa: E402

from labeling.models import Dataset, User  # noqa: E402
from quality.queries import browse  # noqa: E402
from quality.queries.facets import facets_of  # noqa: E402
from quality.queries.filters import look_up, read_filter  # noqa: E402
from quality.queries.histograms import histogram_of  # noqa: E402

REPEATS = 5


def milliseconds(do: Callable[[], Any]) -> float:
    """Return the median CPU time of a call after one to warm up."""
    do()
    times = []
    for _ in range(REPEATS):
        start = time.process_time()
        do()
        times.append(time.process_time() - start)
    return 1000 * statistics.median(times)


def measured(dataset: Dataset, query: str, *, client: Client) -> dict[str, float]:
    """Time what one address costs, whole pages first."""
    shown = look_up(dataset, read_filter(QueryDict(query), media=dataset.media))
    url = f"/d/{dataset.slug}/browse/?{query}"
    return {
        "first page": milliseconds(lambda: client.get(url)),
        "last page": milliseconds(lambda: client.get(f"{url}&before=end")),
        "items": milliseconds(lambda: browse.page_of(shown)),
        "last items": milliseconds(lambda: browse.page_of(shown, before=browse.END)),
        "counts": milliseconds(lambda: facets_of(shown)),
        "histogram": milliseconds(lambda: histogram_of(shown)),
    }


def main(slug: str, queries: list[str]) -> None:
    dataset = Dataset.objects.get(slug=slug)
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(User.objects.get_or_create(username="bench", is_staff=True)[0])
    print(f"{dataset.items.count()} items; CPU ms, median of {REPEATS}")
    for query in queries or [
        "",
        "sort=key",
        "sort=suspicious",
        "class=class 3",
        "fact=brightness&min=10&max=20",
    ]:
        figures = measured(dataset, query, client=client)
        told = ", ".join(f"{name} {figure:.0f}" for name, figure in figures.items())
        print(f"{query or 'all':22} {told}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
