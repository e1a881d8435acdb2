"""OpenAI's vector stores, called by OpenAI's own client, and by that of OGX."""

from __future__ import annotations

from tests.doors.conftest import Client


def test_openai_vector_stores(foreign: Client) -> None:
    found = foreign("openai_vector_stores")
    assert found["store"] == "Support-FAQ"
    assert found["polled"] == ["completed", "Support-FAQ"]
    assert found["created"] == ["completed", {"lang": "en", "year": 2020, "open": True}]
    assert (found["batch"], found["batch_files"]) == (["completed", 5, 5], 5)
    assert found["broken"] == ["failed", "unsupported_file"]
    assert found["narrowed"] == [[found["kept"], "rain.txt", {"lang": "en", "year": 2020, "open": True}]]
    name, score, text = found["found"]
    assert (name, text) == ("copy.txt", "how to copy a file")
    assert 0.1 < score <= 1
    assert found["changed"] == [{"lang": "de"}, "completed"]
    assert (found["content"], found["raw"]) == (["the weather is fine"], "the weather is fine")
    assert (found["files"], found["uploads"]) == (8, 8)
    assert sorted(found["stores"]) == ["page-0", "page-1", "page-2"]
    assert found["counts"] == {"in_progress": 0, "completed": 7, "failed": 1, "cancelled": 0, "total": 8}
    assert (found["removed"], found["deleted"], found["gone"]) == (True, True, [True] * 3)
    assert found["answer"] == "how to copy a file [copy.txt]"
    errors = found["errors"]
    assert errors["missing"][0::3] == [404, "collection_not_found"]
    assert "there is no collection 'nothing'" in errors["missing"][1]
    assert errors["filter"][0::2] == [400, "filters.key"]
    assert (errors["file"][0], errors["file"][3]) == (404, "file_not_found")
    assert errors["expiry"][0::2] == [400, "expires_after"]


def test_ogx(foreign: Client) -> None:
    found = foreign("ogx")
    assert (found["store"], found["stores"], found["files"]) == ("OGX", ["OGX"], [True] * 3)
    assert found["orders"] == {mode: [1, 2] for mode in ("vector", "keyword", "hybrid")}
    assert (found["attributes"], found["text"]) == (1, "how to copy a file")
    assert (found["models"], found["vectors"], found["deleted"]) == (["fake-words", "fake-overlap"], 3, True)
    assert "there is no collection 'nothing'" in found["error"]
