"""Sixty everyday questions to the standard library's docstrings: is the right name first, or among the first five?

    .venv/bin/winnow index python -c python --data-dir /tmp/python
    .venv/bin/python benchmarks/everyday.py --data-dir /tmp/python

``everyday.jsonl`` holds the questions with the names that answer them, written before anything was measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path

from winnow.core.principal import LOCAL
from winnow.core.search import RerankOptions, SearchRequest
from winnow.core.settings import load_settings
from winnow.runtime import open_resources

QUESTIONS = Path(__file__).with_name("everyday.jsonl")


async def ask(data_dir: Path, *, rerank: bool) -> list[tuple[str, int, str]]:
    """Each question, the place of the first right name (0: not among ten), and the name that came first."""
    found = []
    async with open_resources(load_settings(data_dir=data_dir)) as resources:
        for line in QUESTIONS.read_text(encoding="utf-8").splitlines():
            question = json.loads(line)
            request = SearchRequest("python", question["query"], rerank=RerankOptions(rerank), budget_ms=60_000)
            answer = await resources.search.run(request, LOCAL)
            names = [result.candidate.document_id for result in answer.results]
            place = next((i for i, name in enumerate(names, 1) if name in question["right"]), 0)
            found.append((question["query"], place, names[0] if names else ""))
    return found


def main() -> None:
    """Print both shares with and without the second stage, and the questions whose answer is not first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, required=True, help="holds the collection `python`")
    given = parser.parse_args()
    for rerank in (False, True):
        found = asyncio.run(ask(given.data_dir, rerank=rerank))
        first, five = (sum(0 < place <= depth for _, place, _ in found) / len(found) for depth in (1, 5))
        print(f"{'two stages' if rerank else 'hybrid'}: success@1 {first:.3f}, success@5 {five:.3f}")
    for query, place, first_name in found:
        if place != 1:
            print(f"  {place or '-':>2}  {query}  ({first_name})")


if __name__ == "__main__":
    main()
