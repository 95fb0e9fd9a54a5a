"""Recompute a Before/After from its two exported prediction files, with nothing of Winnow.

    python bench/check_comparison.py BEFORE.csv AFTER.csv [PROVE.json]

The files come from the Before/After page ("CSV of v3", "CSV of v4"). Prints before, after,
difference and n; with the output of `prove --json` it ends with status 1 when any differs by
more than 1e-9.
"""

import csv
import json
import sys
from pathlib import Path

TOLERANCE = 1e-9
FACTS = 5  # key, split, group, given, predicted; then one column a class


Rows = dict[str, dict[str, str]]


def read(path: str) -> Rows:
    """Return the rows of one file by item key, with the class of the largest probability."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = {row["key"]: row for row in csv.DictReader(file)}
    for row in rows.values():
        classes = list(row)[FACTS:]
        largest = max(classes, key=lambda name: float(row[name]))
        if largest != row["predicted"]:
            raise SystemExit(f"{path}: {row['key']} says {row['predicted']}, not {largest}")
    return rows


def compare(before: Rows, after: Rows) -> dict[str, float]:
    """Judge both by the earlier labels on the items that both predict."""
    keys = sorted(before.keys() & after.keys())
    given = {key: before[key]["given"] for key in keys}
    right = [sum(side[key]["predicted"] == given[key] for key in keys) for side in (before, after)]
    return {
        "before": right[0] / len(keys),
        "after": right[1] / len(keys),
        "difference": (right[1] - right[0]) / len(keys),
        "n": len(keys),
    }


def main() -> None:
    found = compare(read(sys.argv[1]), read(sys.argv[2]))
    print(json.dumps(found))
    if len(sys.argv) > 3:
        told = json.loads(Path(sys.argv[3]).read_text().splitlines()[-1])
        wrong = [name for name in found if abs(found[name] - told[name]) > TOLERANCE]
        if wrong:
            raise SystemExit(f"not the same: {', '.join(wrong)}; prove said {told}")
        print(f"equal to {TOLERANCE:g}")


if __name__ == "__main__":
    main()
