"""What both systems index and are asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from indexer.sources.python import PythonSource
from winnow.core.types import Document
from winnow.evaluation.dataset import load_dataset


@dataclass(frozen=True, slots=True)
class Texts:
    """A name, the documents, and questions to ask of them."""

    name: str
    documents: list[Document]
    questions: list[str]

    def queries(self) -> Iterator[str]:
        """Queries that never repeat, so that no cache answers: the questions, then each with its words moved round."""
        seen: set[str] = set()
        longest = max(len(question.split()) for question in self.questions)
        for turn in range(longest):
            for question in self.questions:
                words = question.split()
                query = " ".join(words[turn:] + words[:turn])
                if turn < len(words) and query not in seen:
                    seen.add(query)
                    yield query

    def write(self, path: Path) -> None:
        """Write the documents, a JSON object a line."""
        records = ({"id": item.id, "title": item.title, "text": item.text} for item in self.documents)
        path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")


async def load_texts(folder: Path | None, count: int) -> Texts:
    """The first ``count`` documents of a test collection, or of the standard library's docstrings without one."""
    if folder is not None:
        dataset = load_dataset(folder)
        return Texts(dataset.name, list(dataset.documents[:count]), list(dataset.queries.values()))
    documents = (await _docstrings())[:count]
    return Texts("python docstrings", documents, [_summary(document.text) for document in documents])


async def _docstrings() -> list[Document]:
    return [item async for item in PythonSource().read() if isinstance(item, Document)]


def _summary(text: str) -> str:
    """The first line of what is said about a thing; its signature stands in the paragraph before."""
    paragraphs = text.strip().split("\n\n")
    return paragraphs[min(1, len(paragraphs) - 1)].strip().split("\n", maxsplit=1)[0]
