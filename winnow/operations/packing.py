"""Packs the results of one search or of several: folds duplicates, adds neighbours, fits the texts into tokens."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from winnow.core.errors import DeadlineExceeded, InvalidQuery, StorageFailure, Upstream, WinnowError
from winnow.core.packing import Packing, PackTotals
from winnow.core.search import Result, SearchAnswer, SearchRequest, StageReport, StageStatus
from winnow.core.types import WhichIndex
from winnow.operations.resources import Resources
from winnow.ports import Tokenizer
from winnow.search.duplicates import fold_results
from winnow.search.expansion import Passages, Surroundings
from winnow.search.highlight import Highlighter
from winnow.search.limits import SearchDeadline
from winnow.search.packing import Packer, merge_touching
from winnow.search.second_stage import ms_since

log = logging.getLogger(__name__)

STAGE: Final = "pack"


class Found(NamedTuple):
    """A result and the search that found it."""

    request: SearchRequest
    result: Result


@dataclass(frozen=True, slots=True)
class Pack:
    """Results with the texts that are returned for them, what was done, and the sums where tokens were counted.

    ``chosen``: the positions of the results among those that were handed in.
    """

    results: tuple[Result, ...]
    chosen: tuple[int, ...]
    report: StageReport
    totals: PackTotals | None = None


async def counting_tokenizer(resources: Resources, request: SearchRequest) -> Tokenizer | None:
    """The tokenizer that counts the texts of a search; ``None`` where they are not counted.

    Raises:
        InvalidQuery: there is none of this name; the message lists those that there are.
        CollectionNotFound: the collection does not exist.
    """
    packing = request.packing
    if packing is None or not packing.counts_tokens:
        return None
    embedders = resources.embedders
    if packing.tokenizer is None:
        collection = await resources.collections.get(request.collection)
        return embedders.of(collection.serving).tokenizer
    known = {each.tokenizer.name: each.tokenizer for each in embedders}
    if packing.tokenizer not in known:
        message = f"there is no tokenizer {packing.tokenizer[:80]!r}; there are {', '.join(sorted(known))}"
        raise InvalidQuery(message, location=("tokenizer",))
    return known[packing.tokenizer]


def fold_answer(answer: SearchAnswer) -> SearchAnswer:
    """The answer with near-duplicates among its results folded, where its request says so and no stage did it."""
    request = answer.request
    if request.packing is None or not request.packing.fold_duplicates or not answer.results:
        return answer
    if answer.results[0].duplicates is not None:
        return answer
    folded = fold_results(answer.results, lambda each: each, lambda _: request.collection, keep=len(answer.results))
    results = tuple(each._replace(duplicates=duplicates) for each, duplicates in folded)
    return replace(answer, results=results)


async def pack_answer(
    resources: Resources, answer: SearchAnswer, tokenizer: Tokenizer | None, deadline: SearchDeadline
) -> SearchAnswer:
    """The answer to one search with its results packed as its request says."""
    request = answer.request
    found = [Found(request, result) for result in answer.results]
    pack = await pack_results(resources, found, request, tokenizer, deadline)
    return replace(
        answer,
        results=pack.results,
        degraded=answer.degraded or pack.report.status != "ok",
        pack=pack.report,
        packed=pack.totals,
        took_ms=deadline.spent_ms(),
    )


async def pack_results(
    resources: Resources,
    found: Sequence[Found],
    request: SearchRequest,
    tokenizer: Tokenizer | None,
    deadline: SearchDeadline,
) -> Pack:
    """Pack results, best first, of one or several searches that have the options of ``request``.

    Where store or catalog do not answer in time, the results keep their own texts, and the report says so.
    """
    packing, began = request.packing or Packing(), time.perf_counter()
    failure: WinnowError | None = None
    try:
        passages = await deadline.within(_surroundings(resources, found, packing), stage=STAGE)
    except (Upstream, DeadlineExceeded, StorageFailure) as error:
        log.warning("cannot read the texts around results: %s", error.message)
        failure, passages = error, [_own(each.result) for each in found]
    pack = await asyncio.to_thread(_pack, found, passages, packing, tokenizer)
    if failure is None:
        return replace(pack, report=StageReport("ok", ms_since(began)))
    status: StageStatus = "timeout" if isinstance(failure, DeadlineExceeded) else "failed"
    reason = f"{failure.message}; results have the texts of their chunks"
    return replace(pack, report=StageReport(status, ms_since(began), reason=reason))


def _pack(found: Sequence[Found], passages: Sequence[Passages], packing: Packing, tokenizer: Tokenizer | None) -> Pack:
    """The results with the texts that fit, best first and counted from 1; those of one document that touch are one."""
    markers = {query: Highlighter(query) for query in dict.fromkeys(each.request.query for each in found)}
    packer = Packer(tokenizer, packing.max_tokens, Highlighter(" ".join(markers)))
    packed = packer.pack(passages)
    chosen = sorted(packed)
    documents = [(found[i].request.collection, found[i].result.candidate.document_id) for i in chosen]
    numbers = [found[i].result.candidate.chunk.index for i in chosen]
    merged = merge_touching([packed[i] for i in chosen], documents, numbers, packer.count)
    kept = [(chosen[place], excerpt) for place, excerpt in merged]
    results = []
    for rank, (position, excerpt) in enumerate(kept, 1):
        request, result = found[position]
        highlights = markers[request.query].spans(excerpt.text) if request.highlight else ()
        results.append(result._replace(rank=rank, excerpt=excerpt, highlights=highlights))
    totals = None
    if tokenizer is not None:
        tokens = sum(excerpt.tokens or 0 for _, excerpt in kept)
        totals = PackTotals(tokenizer.name, tokens, left_out=len(found) - len(chosen))
    return Pack(tuple(results), tuple(position for position, _ in kept), StageReport("ok"), totals)


async def _surroundings(resources: Resources, found: Sequence[Found], packing: Packing) -> list[Passages]:
    """The text around each result, in two round trips for each index that the results are of."""
    if not packing.expand and packing.max_tokens is None:
        return [_own(each.result) for each in found]
    groups: dict[tuple[str, WhichIndex], list[int]] = {}
    for position, each in enumerate(found):
        groups.setdefault((each.request.collection, each.request.index), []).append(position)
    passages: dict[int, Passages] = {}
    for (name, which), positions in groups.items():
        collection = await resources.collections.get(name)
        index = collection.chosen(which) or collection.serving  # the second one may be gone meanwhile
        around = Surroundings(resources.store, resources.catalog.documents, collection, index.ref)
        candidates = [found[position].result.candidate for position in positions]
        read = await around.read(candidates, expand=packing.expand, whole_sentences=packing.max_tokens is not None)
        passages |= dict(zip(positions, read, strict=True))
    return [passages[position] for position in range(len(found))]


def _own(result: Result) -> Passages:
    """The text of a result's chunk alone."""
    chunk = result.candidate.chunk
    text = chunk.text[len(chunk.prefix) :]
    span = (0, len(text))
    return Passages(chunk.start, text, span, span, span, (chunk.prefix, chunk.prefix))
