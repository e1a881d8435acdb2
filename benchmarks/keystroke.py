"""From a first keystroke to a painted result, in Chromium: python benchmarks/keystroke.py ADDRESS COLLECTION."""

from __future__ import annotations

import argparse
import shutil
import statistics
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

QUERIES = ("quick", "agent", "knowledge", "workflow", "plugin", "deploy", "model", "chat", "install", "api")
ROUNDS = 6
# from the event of the key until the frame in which the first option is painted
MEASURE = """query => new Promise((resolve) => {
  const search = document.querySelector("winnow-search");
  const list = search.list;
  const watch = new MutationObserver(() => {
    if (!list.children.length || search.answer?.query !== query) return;
    watch.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  });
  watch.observe(list, { childList: true });
  const began = performance.now();
  search.input.value = query;
  search.input.dispatchEvent(new InputEvent("input"));
})"""


def times(page: Page) -> Iterator[float]:
    """Milliseconds of each query, typed into an empty box."""
    for _ in range(ROUNDS):
        for query in QUERIES:
            page.evaluate("document.querySelector('winnow-search').query = ''")
            page.wait_for_timeout(50)
            yield page.evaluate(MEASURE, query[:3])


def main(address: str, collection: str) -> None:
    """Print the median and the 95th percentile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--headless=new", "--no-sandbox"]
        )
        page = browser.new_page()
        page.goto(f"{address}/docs")
        page.set_content("<main></main>")
        page.evaluate(
            """async ([address, collection]) => {
            await import(`${address}/widget/v1.js`);
            const search = document.createElement("winnow-search");
            search.setAttribute("collection", collection);
            search.setAttribute("layout", "inline");
            document.body.append(search);
        }""",
            [address, collection],
        )
        found = list(times(page))
        browser.close()
    median, high = statistics.median(found), statistics.quantiles(found, n=20)[-1]
    print(f"{len(found)} first keystrokes: p50 {median:.0f} ms, p95 {high:.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="of a service, such as http://127.0.0.1:8000")
    parser.add_argument("collection")
    main(**vars(parser.parse_args()))
