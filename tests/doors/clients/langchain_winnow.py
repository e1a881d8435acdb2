"""LangChain's own suite for retrievers, and documents ordered by the reranker, with ``winnow_client.langchain``."""

import asyncio
import os

import pytest
from _ask import BASE, DOCUMENTS, QUERY, say
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests
from winnow_client.langchain import WinnowReranker, WinnowRetriever

QUESTION = "how to copy a file"


class TestWinnowRetriever(RetrieversIntegrationTests):
    """The suite, over two collections as one."""

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return WinnowRetriever

    @property
    def retriever_constructor_params(self) -> dict:
        return {"collection": ["guides", "notes"], "url": BASE, "k": 4}

    @property
    def retriever_query_example(self) -> str:
        return QUESTION


class Passed:
    """Counts the tests of the suite."""

    def __init__(self) -> None:
        self.passed = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.passed += report.when == "call" and report.passed


def main() -> None:
    counted = Passed()
    options = ["-c", os.devnull, "-q", "--noconftest", "-p", "no:cacheprovider", "-o", "asyncio_mode=auto"]
    code = pytest.main([__file__, *options], [counted])
    retriever = WinnowRetriever(collection="guides", url=BASE, options={"expand": 1})
    first = retriever.invoke(QUESTION, k=1)[0]
    again = asyncio.run(retriever.ainvoke(QUESTION))[0]
    texts = [Document(page_content=each, metadata={"n": n}) for n, each in enumerate(DOCUMENTS)]
    reranker = WinnowReranker(top_n=2, url=BASE)
    strict = WinnowReranker(top_n=None, min_relevance=0.99, url=BASE)
    say(
        {
            "suite": [int(code), counted.passed],
            "first": [first.id, first.page_content, *(first.metadata[key] for key in ("url", "start", "end"))],
            "again": again.page_content,
            "order": numbers(reranker.compress_documents(texts, QUERY)),
            "awaited": numbers(asyncio.run(reranker.acompress_documents(texts, QUERY))),
            "strict": numbers(strict.compress_documents(texts, "zebra")),
            "nothing": list(reranker.compress_documents([], QUERY)),
        }
    )


def numbers(documents):
    """The positions that documents had."""
    return [each.metadata["n"] for each in documents]


if __name__ == "__main__":
    main()
