"""Reading batches of documents."""

from __future__ import annotations

from contextlib import suppress

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Problem
from service.wire import documents_in
from winnow.core.errors import InvalidDocument
from winnow.operations.submit import NothingAccepted, ParsedBatch, UploadTerms, parse_batch
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


def read_batch(body: bytes, *, ndjson: bool) -> ParsedBatch:
    return parse_batch(documents_in(body, ndjson=ndjson), UploadTerms({}, 100))


def encodable(value):
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


@given(st.lists(documents.filter(encodable), min_size=1, max_size=8))
def test_every_document_is_either_read_or_rejected_at_its_position(batch):
    body = orjson.dumps({"documents": batch})
    read = read_batch(body, ndjson=False)
    assert sorted([*read.positions, *(item.index for item in read.rejected)]) == list(range(len(batch)))
    assert [batch[position]["id"] for position in read.positions] == [document.id for document in read.documents]


@given(st.lists(documents.filter(encodable), min_size=1, max_size=8))
def test_ndjson_means_the_same_as_a_list(batch):
    lines = b"\n".join(orjson.dumps(item) for item in batch)
    by_line = read_batch(lines, ndjson=True)
    by_list = read_batch(orjson.dumps({"documents": batch}), ndjson=False)
    assert by_line == by_list


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused_by_name(body):
    for ndjson in (False, True):
        with suppress(InvalidDocument, Problem):
            assert read_batch(body, ndjson=ndjson)


def test_rejections_of_the_catalog_are_told_by_position_in_the_request():
    body = orjson.dumps({"documents": [{"id": ""}, {"id": "a", "text": "x"}, {"id": "b", "text": "x"}]})
    batch = read_batch(body, ndjson=False)
    merged = batch.all_rejections([Rejection(1, "b", "version_conflict", "older")])
    assert [(item.index, item.code) for item in merged] == [(0, "invalid_document"), (2, "version_conflict")]


def test_document_over_the_limit_is_rejected_with_its_own_code():
    body = orjson.dumps({"documents": [{"id": "a", "text": "x" * 101}]})
    batch = read_batch(body, ndjson=False)
    assert [item.code for item in batch.rejected] == ["document_too_large"]


def test_batch_without_documents_is_refused():
    for body, ndjson in ((b'{"documents": []}', False), (b"\n", True)):
        with pytest.raises(InvalidDocument, match="no documents"):
            read_batch(body, ndjson=ndjson)


def test_batch_of_which_nothing_was_accepted_has_the_code_that_the_rejections_share():
    older = Rejection(0, "a", "version_conflict", "older")
    error = NothingAccepted([older, Rejection(1, "b", "version_conflict", "older")])
    assert (error.code, error.message) == (
        "version_conflict",
        "no document was accepted; document 0: older (and 1 more)",
    )
    assert NothingAccepted([older, Rejection(1, "b", "document_too_large", "long")]).code == "invalid_document"
    assert NothingAccepted([Rejection(0, None, "invalid_json", "line 0 is not JSON")]).code == "invalid_document"
