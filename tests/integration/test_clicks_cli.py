"""``winnow eval --from-clicks`` beside the service that visitors search in, and alone when it has stopped."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.browser_site import Site
from tests.support.served import Served, served
from winnow.evaluation.clicks import LEAST_CLICKS
from winnow.evaluation.dataset import load_questions

DOCUMENTS = [
    {"id": "copy", "title": "copy", "text": "copy a file"},
    {"id": "copy tree", "title": "tree", "text": "copy a tree of files, file by file"},
    {"id": "move/file", "title": "move", "text": "move a file"},
    {"id": "dates", "title": "dates", "text": "parse a date"},
]
WANTED = {"copy a file": "move/file", "parse a date": "dates"}
RARE = "move"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Forty visitors ask two questions each and click what they want; one asks a third."""
    with served(tmp_path_factory.mktemp("clicked"), WINNOW_ANALYTICS__ENABLED="true") as service:
        site = Site(service.address)
        for name in ("docs", "few", "quiet"):
            site.call("PUT", f"/v1/collections/{name}", {})
            site.call("POST", f"/v1/collections/{name}/documents?wait=true", {"documents": DOCUMENTS})
        for visitor in range(LEAST_CLICKS + 10):
            for query, document in WANTED.items():
                visit(site, query, document, f"v{visitor}")
        for collection in ("docs", "few"):
            visit(site, RARE, "move/file", "one", collection)
        yield service


def visit(site: Site, query: str, wanted: str, session: str, collection: str = "docs") -> None:
    answer = site.call("POST", f"/v1/collections/{collection}/search", {"query": query, "session": session})
    [position] = [each["rank"] for each in answer["results"] if each["document_id"] == wanted]
    event = {"type": "click", "search_id": answer["search_id"], "document_id": wanted, "position": position}
    assert site.call("POST", "/v1/events", {"events": [event]})["accepted"] == 1


def measured(service: Served, *options: str) -> Any:
    return json.loads(service.command("eval", "--from-clicks", "-c", "docs", "--json", *options))


def refusal(service: Served, *arguments: str, status: int = 2) -> str:
    with pytest.raises(subprocess.CalledProcessError) as failed:
        service.command(*arguments)
    assert failed.value.returncode == status
    return str(failed.value.stderr)


def searches(service: Served) -> int:
    report = Site(service.address).call("GET", "/v1/collections/docs/analytics", None)
    return int(report["totals"]["searches"])


def test_a_collection_is_measured_on_clicks_without_adding_searches(service: Served, tmp_path: Path) -> None:
    before = searches(service)
    report = measured(service, "--save", str(tmp_path / "judged"), "--html", str(tmp_path / "report.html"))
    assert (report["dataset"], report["documents"], report["queries"]) == ("docs", 4, 2)
    assert list(report["runs"]) == ["sparse", "dense", "hybrid", "two_stage"]
    for run in report["runs"].values():
        assert set(run) == {"ndcg@10", "recall@100", "mrr@10", "ci95", "p50_ms"}
        assert run["recall@100"] == 1
    clicks = report["from_clicks"]
    assert "inverse propensity weighting" in clicks["method"]
    assert (clicks["clicks"], clicks["queries"]) == (2 * (LEAST_CLICKS + 10), {"judged": 2, "too_few_clicks": 1})
    assert clicks["propensities"][:2] == [1, 0.5]
    assert clicks["estimated_from"] == {"clicks": 0, "results": 0}
    assert set(clicks["judged@10"].values()) == {1.0}
    saved = load_questions(tmp_path / "judged")
    assert set(saved.queries.values()) == set(WANTED)
    grades = {saved.queries[key]: found for key, found in saved.judgments.items()}
    assert {query: found[WANTED[query]] for query, found in grades.items()} == dict.fromkeys(WANTED, 3)
    assert grades["copy a file"]["copy"] == 0
    assert "intervention harvesting" in (tmp_path / "report.html").read_text()
    assert searches(service) == before


def test_what_is_missing_or_wrong_is_named(service: Served) -> None:
    asked = ("eval", "--from-clicks", "-c")
    assert "in its analytics none has a click" in refusal(service, *asked, "quiet")
    few = refusal(service, *asked, "few")
    assert "no query of few has 30 distinct clicks yet: of 1 query with clicks 'move' (1) have most" in few
    assert "nowhere" in refusal(service, *asked, "nowhere", status=1)


def test_documents_that_are_gone_since_are_left_out_and_counted(service: Served) -> None:
    request = {"documents": [next(each for each in DOCUMENTS if each["id"] == "dates")]}
    site = Site(service.address)
    site.call("DELETE", "/v1/collections/docs/documents/dates?wait=true", None)
    try:
        assert measured(service)["queries"] == 1
    finally:
        site.call("POST", "/v1/collections/docs/documents?wait=true", request)
