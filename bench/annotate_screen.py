"""From a key to the next item on the screen, in a real browser, with a slow server.

    python bench/annotate_screen.py URL ROUND --user annotator [--latency 150] [--strokes 40]

The password is read from WINNOW_PASSWORD. Every request of the page takes `--latency` ms longer
(Chromium's own emulation). A key is pressed every `--pause` ms; the time runs in the page from the
event's time stamp to the frame after the one in which the next item stood there, its picture
decoded or its wave drawn. Prints one JSON line. It answers real items: use a round of your own.
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
  addEventListener("keydown", (event) => {
    const before = annotate.dataset.item;
    const look = () => {
      const stage = document.getElementById("stage"), image = stage.querySelector("img");
      const isDrawn = image ? image.complete && image.naturalWidth > 0
        : stage.querySelector("canvas, .stage-text");
      const isThere = isDrawn && annotate.dataset.item && annotate.dataset.item !== before;
      if (!isThere) { requestAnimationFrame(look); return; }
      requestAnimationFrame(() => window.times.push(performance.now() - event.timeStamp));
    };
    requestAnimationFrame(look);
  }, true);
}"""


def open_round(page: Page, options: argparse.Namespace) -> None:
    """Log in, go to the round, and only then slow the connection down."""
    address = f"{options.url.rstrip('/')}/annotate/{options.round}/"
    page.goto(address)
    page.fill("[name=username]", options.user)
    page.fill("[name=password]", os.environ["WINNOW_PASSWORD"])
    page.keyboard.press("Enter")
    page.wait_for_selector("#annotate[data-item]")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": options.latency}
    slow |= {"downloadThroughput": -1, "uploadThroughput": -1}
    network.send("Network.emulateNetworkConditions", slow)
    page.wait_for_timeout(1500)


def press_keys(page: Page, *, keys: list[str], strokes: int, pause: int) -> list[float]:
    """Return the milliseconds of each stroke, sorted."""
    page.evaluate(WATCH)
    for stroke in range(strokes):
        page.keyboard.press(keys[stroke % len(keys)])
        page.wait_for_timeout(pause)
    page.wait_for_timeout(2000)
    return sorted(page.evaluate("() => window.times"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("round", type=int)
    parser.add_argument("--user", required=True)
    parser.add_argument("--latency", type=int, default=150, help="ms more for each request")
    parser.add_argument("--strokes", type=int, default=40)
    parser.add_argument("--keys", nargs="+", default=["Digit1", "Digit2"], help="KeyN for verify")
    parser.add_argument("--pause", type=int, default=600, help="ms between keys")
    options = parser.parse_args()
    with sync_playwright() as playwright:
        path = chromium.find()
        browser = playwright.chromium.launch(executable_path=path, args=chromium.ARGUMENTS)
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        open_round(page, options)
        times = press_keys(page, keys=options.keys, strokes=options.strokes, pause=options.pause)
        browser.close()
    found = {
        "strokes": options.strokes,
        "latency_ms": options.latency,
        "pause_ms": options.pause,
        "shown": len(times),
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(times[int(len(times) * 0.95)], 1),
        "max_ms": round(times[-1], 1),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
