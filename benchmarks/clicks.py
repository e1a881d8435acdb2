"""How near judgments from clicks come to the truth, with the bias of the position corrected and without.

Simulated visitors of 20 queries look at ranks with a known probability and click what is relevant with a known one. The
error is the root mean square difference from the true relevance, each relative to the most relevant result shown.

    python -m benchmarks.clicks
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from rich.console import Console
from rich.table import Table

from winnow.evaluation.clicks import Impression, judge_by_clicks

QUERIES, DOCUMENTS, DEPTH, WORLDS = 20, 12, 10, 10
ATTRACTIONS = (0.03, 0.03, 0.03, 0.03, 0.03, 0.3, 0.3, 0.6, 0.6, 0.9)
BIASES: Mapping[str, Callable[[int], float]] = {
    "1/rank": lambda rank: 1 / rank,
    "1/sqrt(rank)": lambda rank: rank**-0.5,
    "0.8^(rank-1)": lambda rank: 0.8 ** (rank - 1),
    "1/log2(rank+1)": lambda rank: 1 / math.log2(1 + rank),
}
Relevance = Mapping[str, Mapping[str, float]]


def main() -> None:
    """Print a table: a bias a row, for few and many visitors, and orders of results that stayed or changed."""
    table = Table("true bias", "visitors a query", "orders", "raw clicks", "corrected")
    for name, bias in BIASES.items():
        for visitors, orders in ((60, 1), (60, 3), (1000, 1), (1000, 3)):
            errors = np.mean([compare(bias, visitors, orders, seed) for seed in range(WORLDS)], axis=0)
            table.add_row(name, str(visitors), str(orders), *(f"{error:.3f}" for error in errors))
    Console().print(table)


def compare(bias: Callable[[int], float], visitors: int, orders: int, seed: int) -> tuple[float, float]:
    """The errors of raw rates of clicks and of corrected relevance in one simulated world."""
    chance = random.Random(seed)  # noqa: S311 - a simulation that is the same every time
    truth = {
        f"query {query}": {f"{query}-{number}": chance.choice(ATTRACTIONS) for number in range(DOCUMENTS)}
        for query in range(QUERIES)
    }
    log = [
        each for query in truth for each in _visits(query, truth[query], bias, chance, visitors=visitors, orders=orders)
    ]
    judged = judge_by_clicks(log, least=1)
    corrected = {judged.questions.queries[key]: found for key, found in judged.relevance.items()}
    raw = _rates(log)
    return _error({query: raw[query] for query in corrected}, truth), _error(corrected, truth)


def _visits(
    query: str,
    relevance: Mapping[str, float],
    bias: Callable[[int], float],
    chance: random.Random,
    *,
    visitors: int,
    orders: int,
) -> list[Impression]:
    shown = [
        sorted(relevance, key=lambda document: -(relevance[document] + chance.gauss(0, 0.5)))[:DEPTH]
        for _ in range(orders)
    ]
    found = []
    for visit in range(visitors):
        order = dict(enumerate(shown[visit * orders // visitors], 1))
        clicked = {each for rank, each in order.items() if chance.random() < bias(rank) * relevance[each]}
        found.append(Impression(query, f"{query} {visit}", order, frozenset(clicked)))
    return found


def _rates(log: Sequence[Impression]) -> Relevance:
    counts: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for impression in log:
        for document in impression.results.values():
            counts[impression.query][document][0] += 1
            counts[impression.query][document][1] += document in impression.clicked
    return {query: {key: hits / shown for key, (shown, hits) in found.items()} for query, found in counts.items()}


def _error(estimates: Relevance, truth: Relevance) -> float:
    differences = [
        value / max(found.values()) - truth[query][document] / max(truth[query][each] for each in found)
        for query, found in estimates.items()
        for document, value in found.items()
    ]
    return float(np.sqrt(np.mean(np.square(differences))))


if __name__ == "__main__":
    main()
