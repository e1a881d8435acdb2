"""Afterwards: what was acknowledged against what is there, in the catalog, among the points, and in searches."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.faults.editors import COLLECTION, Client, search, text_of
from tests.faults.tampering import MARK
from winnow.core.settings import Settings
from winnow.ports import IndexRef, Point, StoredDocument, VectorStore
from winnow.runtime import open_resources

Crime = Literal["lost", "doubled", "resurrected", "mixed", "half", "unfinished", "refused"]
Possible = Mapping[str, Sequence[int | None]]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken."""

    crime: Crime
    document: str
    detail: str

    def __str__(self) -> str:
        return f"{self.crime}: {self.document}: {self.detail}"


def unanswered(client: Client, documents: Sequence[str], stored: Mapping[str, StoredDocument]) -> list[Violation]:
    """Compare what searches find with the catalog."""
    found: list[Violation] = []
    for each in documents:
        shown = search(client, each)
        if shown is None:
            found.append(Violation("unfinished", each, "the service cannot search"))
            continue
        wanted = list(range(stored[each].chunks)) if each in stored else []
        places = [place for place, _ in shown]
        if places != wanted:
            found.append(Violation("half", each, f"chunks {wanted} are stored and searches find {places}"))
    return found


async def examine(settings: Settings, possible: Possible) -> tuple[list[Violation], dict[str, StoredDocument]]:
    """Compare acknowledgements, catalog and points. Nothing else may be running on this data."""
    async with open_resources(settings) as resources:
        collection = await resources.catalog.collections.get(COLLECTION)
        stored = {each.document.id: each async for each in resources.catalog.documents.scan(COLLECTION)}
        points = await _points(resources.store, collection.serving.ref)
    found = [each for document in possible for each in _of_catalog(document, possible[document], stored.get(document))]
    for document in sorted(stored.keys() | points.keys()):
        found += _of_points(document, stored.get(document), points.get(document, []))
    return found, stored


async def _points(store: VectorStore, index: IndexRef) -> dict[str, list[Point]]:
    ids = [key.id async for key in store.keys(index)]
    found: dict[str, list[Point]] = defaultdict(list)
    for point in (await store.fetch(index, ids)).values():
        found[point.document_id].append(point)
    return found


def _of_catalog(document: str, versions: Sequence[int | None], stored: StoredDocument | None) -> list[Violation]:
    """The document must be as its last acknowledged change left it, or as one did that came after and had no answer."""
    if stored is None:
        gone = f"its newest acknowledged version {versions[0]} is not in the catalog"
        return [] if None in versions else [Violation("lost", document, gone)]
    texts = {text_of(document, version) for version in versions if version is not None}
    if stored.document.text not in texts:
        crime: Crime = "lost" if texts else "resurrected"
        marks = MARK.findall(stored.document.text)
        return [Violation(crime, document, f"the catalog holds {marks}, of {list(versions)} one was to be there")]
    if stored.state != "indexed":
        return [Violation("unfinished", document, f"it is {stored.state}: {stored.error}")]
    return []


def _of_points(document: str, stored: StoredDocument | None, points: Sequence[Point]) -> list[Violation]:
    """Its points must be those of the one revision that is stored, each once, and hold its whole text."""
    if stored is None:
        left = [f"revision {each.revision}, chunk {each.chunk.index}" for each in points]
        return [Violation("resurrected", document, f"it is deleted and has points: {left}")] if points else []
    revisions = sorted({each.revision for each in points})
    if revisions not in ([], [stored.revision]):
        return [Violation("mixed", document, f"points of revisions {revisions}, the catalog says {stored.revision}")]
    places = Counter(each.chunk.index for each in points)
    if twice := [place for place, number in places.items() if number > 1]:
        return [Violation("doubled", document, f"chunks {twice} are there more than once")]
    if sorted(places) != list(range(stored.chunks)):
        return [Violation("half", document, f"chunks {sorted(places)} of {stored.chunks} are there")]
    words = Counter(word for each in points for word in each.chunk.text.split())
    if words != Counter(stored.document.text.split()):
        return [Violation("mixed", document, f"its points hold {[*filter(MARK.match, words)]}, not the stored text")]
    return []


@dataclass(frozen=True, slots=True)
class Repeats:
    """Chunks that were embedded more often than once.

    Attributes:
        chunks: how many were embedded at all.
        repeated: how many embeddings were repetitions.
        worst: repetitions that follow from the death or the pause of one process, at most.
    """

    chunks: int
    repeated: int
    worst: int


def repeats(log: Path, faults: Sequence[float]) -> Repeats:
    """Read a log of embeddings; ``faults``: when something befell a process, rising, on the monotonic clock."""
    first: dict[str, tuple[str, int]] = {}
    by_cause: Counter[tuple[str, int]] = Counter()
    for line in log.read_text().splitlines():
        process, moment, *marks = line.split()
        before = sum(1 for fault in faults if fault < float(moment))
        for mark in marks:
            if mark in first:
                by_cause[first[mark]] += 1
            else:
                first[mark] = (process, before)
    return Repeats(len(first), by_cause.total(), max(by_cause.values(), default=0))
