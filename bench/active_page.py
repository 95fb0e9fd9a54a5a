"""What bench/active.py writes down: the page, its tables and its plot."""

import numpy as np

from bench.features import reach

COLOURS = {"random": "#6b7280", "entropy": "#b45309", "margin": "#0f766e", "ours": "#4338ca"}

PAGE = """# The order that learns, measured

Made by `WINNOW_SHARED=... python bench/active.py` ({date}, Winnow 0.1.0,
{seconds:.0f} CPU-s). {verdict}

Accuracy on 5,000 test images against answers spent; mean of five seeds, the band is its 95 %
interval. 10,000 images of CIFAR-10, answers of real people (CIFAR-10N, 17 % wrong), features of
MobileNetV2-0.35 (256 principal components of 1,280), training after every
500 answers, the first 500 at random in every order.

![Accuracy against answers](active.svg)

- **random**: items in random order, one answer each.
- **entropy**, **margin**: the item that the model is least sure of, one answer each.
- **ours** (`mlcore/active.py`): the item whose class leads by least in what model and people say
  together, new or old. An item put in line takes from its five nearest neighbours what they are
  alike; one item in {share} is drawn at random. An item has at most three answers: a second one
  where its label is less than 80 % probable, a third where the two differ.

{detail}

"Reaches" is the first time, between two trainings by a straight line.

## Other sets
Sounds, photos, texts; of three simulated people each answers one in ten wrongly. Gains in accuracy
over random at the same number of answers, with 95 % intervals over five seeds; then the answers
that ours needs for what random reaches with that number (median), and in how many seeds that is at
most 80 %.

| set | answers | random | entropy | margin | ours | ours needs | at most 80 % |
| --- | --- | --- | --- | --- | --- | --- | --- |
{overview}

The head is that of a training, brought to its minimum by L-BFGS instead of Keras. Random stays
what the form proposes: this order needs trainings while a round goes on, and on clothing (452
items, 372 to test) no order is surely better. It lost to random on none of the four.

How many neighbours count and how people are weighed was chosen on these four sets; nothing else
was fitted. Left out after trials: a first batch that covers the neighbour graph instead of a
random one (better on fsdd and banking77, worse on cifar10 and clothing), and a confusion matrix
for each person (the items that two people answer here are the doubtful ones, so that people look
worse than they are, and too much is asked again). The picture's margin line shows what asking
again adds: without it nothing is left to gain once every item has its one answer.
"""


def reached(points: np.ndarray, accuracy: float) -> float:
    """Return the answers at which an accuracy is first reached, between trainings by a line."""
    above = np.flatnonzero(points[:, 1] >= accuracy)
    if not len(above):
        return float("nan")
    if above[0] == 0:
        return float(points[0, 0])
    (x0, y0), (x1, y1) = points[above[0] - 1 : above[0] + 1]
    return float(x0 + (accuracy - y0) / (y1 - y0) * (x1 - x0))


def at(points: np.ndarray, answers: float) -> float:
    return float(np.interp(answers, points[:, 0], points[:, 1]))


def limits(values: np.ndarray) -> tuple[float, float]:
    """Mean and half the width of its 95 % interval over seeds."""
    return float(values.mean()), reach(values)


def plot(curves: dict[str, list[np.ndarray]], budget: int, batch: int) -> str:
    """Draw accuracy against answers, means of seeds with 95 % intervals, as SVG."""
    width, height, left, bottom = 720, 400, 56, 44
    grid = np.arange(batch, budget + 1, batch)
    found = {
        name: np.array([limits(np.array([at(one, x) for one in each])) for x in grid])
        for name, each in curves.items()
    }
    low = np.floor(min((f[:, 0] - f[:, 1]).min() for f in found.values()) * 50) / 50
    high = np.ceil(max((f[:, 0] + f[:, 1]).max() for f in found.values()) * 50) / 50

    def place(x: float, y: float) -> str:
        across = left + (width - left - 90) * x / budget
        return f"{across:.1f},{16 + (height - bottom - 16) * (high - y) / (high - low):.1f}"

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#374151">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for y in np.arange(low, high + 1e-9, 0.02):
        x0, y0 = place(0, y).split(",")
        x1 = place(budget, y).split(",")[0]
        parts.append(f'<path d="M{x0} {y0}H{x1}" stroke="#e5e7eb"/>')
        parts.append(f'<text x="{left - 8}" y="{float(y0) + 4}" text-anchor="end">{y:.2f}</text>')
    for x in np.linspace(0, budget, 6):
        across, down = place(x, low).split(",")
        down = f"{float(down) + 18:.0f}"
        parts.append(f'<text x="{across}" y="{down}" text-anchor="middle">{x:,.0f}</text>')
    for name, f in found.items():
        upper = [place(x, m + h) for x, (m, h) in zip(grid, f)]
        lower = [place(x, m - h) for x, (m, h) in zip(grid, f)][::-1]
        line = " ".join(place(x, m) for x, (m, _) in zip(grid, f))
        band = " ".join(upper + lower)
        parts.append(f'<polygon points="{band}" fill="{COLOURS[name]}" opacity=".12"/>')
        style = f'fill="none" stroke="{COLOURS[name]}" stroke-width="2"'
        parts.append(f'<polyline points="{line}" {style}/>')
    ends = sorted(found, key=lambda name: -found[name][-1, 0])
    below = 0.0
    for name in ends:
        across, down = map(float, place(budget, found[name][-1, 0]).split(","))
        below = max(down + 4, below + 15)
        text = f'x="{across + 8:.0f}" y="{below:.0f}" fill="{COLOURS[name]}" font-weight="600"'
        parts.append(f"<text {text}>{name}</text>")
    parts.append(f'<text x="{width // 2}" y="{height - 6}" text-anchor="middle">answers</text>')
    parts.append(f'<text x="{left + 6}" y="12">accuracy on the test items</text></svg>')
    return "\n".join(parts) + "\n"


def rows_of(name: str, curves: dict[str, list[np.ndarray]], budget: int) -> tuple[str, str, int]:
    """Return the table by seed, the line of the overview, and in how many seeds 80 % suffice."""
    half, n_seeds = budget // 2, len(curves["random"])
    lines = [
        f"| seed | random at {half:,} | ours at {half * 4 // 5:,} | "
        + " | ".join(f"{order} reaches it at" for order in curves)
        + " |",
        "| --- " * (3 + len(curves)) + "|",
    ]
    needed: dict[str, list[float]] = {order: [] for order in curves}
    for seed in range(n_seeds):
        goal = at(curves["random"][seed], half)
        for order, each in curves.items():
            needed[order].append(reached(each[seed], goal))
        cells = [f"{needed[order][seed]:,.0f}".replace("nan", "never") for order in curves]
        early = at(curves["ours"][seed], half * 4 / 5)
        lines.append(f"| {seed} | {goal:.4f} | {early:.4f} | " + " | ".join(cells) + " |")
    good = {order: sum(x <= half * 0.8 for x in found) for order, found in needed.items()}
    gains = []
    for order in list(curves)[1:]:
        pairs = zip(curves[order], curves["random"], strict=True)
        gains.append(limits(np.array([at(a, half) - at(b, half) for a, b in pairs])))
    line = f"| {name} | {half:,} | {np.mean([at(c, half) for c in curves['random']]):.3f} | "
    line += " | ".join(f"{mean:+.3f} ± {wide:.3f}" for mean, wide in gains)
    line += (
        f" | {np.median(needed['ours']) / half:.0%} | {good['ours']} of {len(curves['random'])} |"
    )
    return "\n".join(lines), line, good["ours"]
