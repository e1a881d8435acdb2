"""What every ``Source`` must do. A plug-in subclasses the suite and supplies the fixture ``source``."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, get_args

import pytest

from winnow.core.documents import check_id, check_metadata
from winnow.core.types import Document, FieldType
from winnow.ports.source import MAX_LABEL_CHARS, Failure, Notice, Source


async def read_items(source: Source) -> list[Any]:
    """Everything that a source yields."""
    async with aclosing(source.read()) as items:
        return [item async for item in items]


class SourceContract:
    """The suite."""

    @pytest.fixture
    def source(self) -> Source:
        """A source of at least two documents that can be read."""
        raise NotImplementedError

    def test_its_label_names_scheme_and_place(self, source: Source) -> None:
        scheme, colon, rest = source.label.partition(":")
        assert scheme == "python" or (scheme and colon and rest)
        assert len(source.label) <= MAX_LABEL_CHARS
        assert source.label == source.label.strip()

    def test_its_fields_have_known_types(self, source: Source) -> None:
        assert set(source.fields.values()) <= set(get_args(FieldType))

    async def test_it_yields_documents_with_text_under_ids_of_their_own(self, source: Source) -> None:
        items = await read_items(source)
        assert all(isinstance(item, Document | Failure | Notice) for item in items)
        documents = [item for item in items if isinstance(item, Document)]
        assert len(documents) >= 2
        assert len({document.id for document in documents}) == len(documents)
        for document in documents:
            assert document.text.strip()
            check_id(document.id)
            check_metadata(dict(document.metadata), source.fields)

    async def test_it_is_read_from_the_start_at_each_call(self, source: Source) -> None:
        assert await read_items(source) == await read_items(source)

    async def test_it_can_be_left_early(self, source: Source) -> None:
        async with aclosing(source.read()) as items:
            first = [item async for item, _ in _counted(items, 1)]
        assert first == (await read_items(source))[:1]

    async def test_its_estimate_is_a_number_or_unknown(self, source: Source) -> None:
        count = await source.count()
        assert count is None or count >= 0


async def _counted(items: Any, limit: int) -> Any:
    """The first ``limit`` items with their numbers."""
    number = 0
    async for item in items:
        yield item, number
        number += 1
        if number >= limit:
            return
