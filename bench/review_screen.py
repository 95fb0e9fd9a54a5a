"""From a key to the next flag on the screen of a queue, in a real browser, with a slow server.

    python bench/review_screen.py URL DATASET [KIND] --user lead [--latency 150] [--strokes 20]

The password is read from WINNOW_PASSWORD. Every request of the page takes `--latency` ms longer.
A key is pressed once the page takes one; the time runs in the page from the event's time stamp to
the frame after the one in which the next flag stood there with its pictures decoded. Prints one
JSON line. It decides real flags: use a dataset of your own.
"""

import argparse
import json
import os
import statistics
import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.setup import chromium

WATCH = """() => {
  window.times = [];
  const flag = document.getElementById("flag");
  addEventListener("keydown", (event) => {
    if (!("seen" in flag.dataset)) return;
    const before = flag.firstElementChild;
    const look = () => {
      const images = [...flag.querySelectorAll(".stage img, [data-copy-image]")];
      const isThere = flag.firstElementChild !== before
        && images.every((image) => image.complete && image.naturalWidth > 0);
      if (!isThere) { requestAnimationFrame(look); return; }
      requestAnimationFrame(() => window.times.push(performance.now() - event.timeStamp));
    };
    requestAnimationFrame(look);
  }, true);
}"""


def open_queue(page: Page, options: argparse.Namespace) -> None:
    """Log in, go to the queue, and only then slow the connection down."""
    page.goto(f"{options.url.rstrip('/')}/d/{options.dataset}/review/{options.kind}/")
    page.fill("[name=username]", options.user)
    page.fill("[name=password]", os.environ["WINNOW_PASSWORD"])
    page.keyboard.press("Enter")
    page.wait_for_selector("#flag[data-seen]")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": options.latency}
    slow |= {"downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", slow)


def decide(page: Page, options: argparse.Namespace) -> list[float]:
    """Return the milliseconds of each decision, sorted."""
    page.evaluate(WATCH)
    for _ in range(options.strokes):
        page.wait_for_selector("#flag[data-seen]", timeout=60_000)
        page.wait_for_timeout(options.pause)
        page.keyboard.press(options.key)
    page.wait_for_timeout(3000)
    return sorted(page.evaluate("() => window.times"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("dataset")
    parser.add_argument("kind", nargs="?", default="label_error")
    parser.add_argument("--user", required=True)
    parser.add_argument("--latency", type=int, default=150, help="ms more for each request")
    parser.add_argument("--strokes", type=int, default=20)
    parser.add_argument("--key", default="KeyK", help="keeps the label")
    parser.add_argument("--pause", type=int, default=500, help="ms to look at each flag")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        path = chromium.find()
        browser = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        open_queue(page, options)
        times = decide(page, options)
        browser.close()
    print(json.dumps({
        "kind": options.kind, "latency_ms": options.latency, "decided": len(times),
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(len(times) * 0.95)], 1), "max_ms": round(times[-1], 1),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
