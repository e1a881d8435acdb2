"""Reading batches of documents."""

from __future__ import annotations

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batch_reader import read_batch
from service.errors import Problem
from winnow.core.errors import InvalidDocument
from winnow.ports import Rejection

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
documents = st.fixed_dictionaries({"id": st.text(max_size=4), "text": st.text(max_size=8)}) | json_values


def encodable(value):
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@given(st.lists(documents.filter(encodable), min_size=1, max_size=8))
def test_every_document_is_either_read_or_rejected_at_its_position(batch):
    body = orjson.dumps({"documents": batch})
    read = read_batch(body, ndjson=False, fields={}, max_chars=100)
    assert sorted([*read.positions, *(item.index for item in read.rejected)]) == list(range(len(batch)))
    assert [batch[position]["id"] for position in read.positions] == [document.id for document in read.documents]


@given(st.lists(documents.filter(encodable), min_size=1, max_size=8))
def test_ndjson_means_the_same_as_a_list(batch):
    lines = b"\n".join(orjson.dumps(item) for item in batch)
    by_line = read_batch(lines, ndjson=True, fields={}, max_chars=100)
    by_list = read_batch(orjson.dumps({"documents": batch}), ndjson=False, fields={}, max_chars=100)
    assert by_line == by_list


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_by_name(body):
    for ndjson in (False, True):
        with suppress(InvalidDocument, Problem):
            assert read_batch(body, ndjson=ndjson, fields={}, max_chars=100)


def test_rejections_of_the_catalog_are_told_by_position_in_the_request():
    body = orjson.dumps({"documents": [{"id": ""}, {"id": "a", "text": "x"}, {"id": "b", "text": "x"}]})
    batch = read_batch(body, ndjson=False, fields={}, max_chars=100)
    merged = batch.all_rejections([Rejection(1, "b", "version_conflict", "older")])
    assert [(item.index, item.code) for item in merged] == [(0, "invalid_document"), (2, "version_conflict")]


def test_document_over_the_limit_is_rejected_with_its_own_code():
    body = orjson.dumps({"documents": [{"id": "a", "text": "x" * 101}]})
    batch = read_batch(body, ndjson=False, fields={}, max_chars=100)
    assert [item.code for item in batch.rejected] == ["document_too_large"]


def test_batch_without_documents_is_refused():
    for body, ndjson in ((b'{"documents": []}', False), (b"\n", True)):
        with pytest.raises(InvalidDocument, match="no documents"):
            read_batch(body, ndjson=ndjson, fields={}, max_chars=100)
