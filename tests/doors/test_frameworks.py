"""``winnow-client`` in LangChain and LlamaIndex, in front of a served service."""

from __future__ import annotations

from tests.doors.conftest import Client

RIGHT = "how to copy a file, in guides"


def test_langchain(foreign: Client) -> None:
    found = foreign("langchain_winnow")
    code, passed = found["suite"]
    assert (code, passed >= 4) == (0, True)
    assert found["first"] == ["copy/guides#0", RIGHT, "https://site.example/guides", 0, len(RIGHT)]
    assert found["again"] == RIGHT
    assert found["order"] == found["awaited"] == [1, 2]
    assert found["strict"] == found["nothing"] == []


def test_llama_index(foreign: Client) -> None:
    found = foreign("llama_index_winnow")
    assert (found["kinds"], found["awaited"], found["nothing"]) == ([True, True], True, [])
    assert [each[0] for each in found["found"][:2]] == ["guides", "notes"]
    scores = [each[2] for each in found["found"]]
    assert scores == sorted(scores, reverse=True)
    assert found["place"] == [0, len(RIGHT), "copy/guides"]
    assert "url: https://site.example/guides" in found["shown"]
    assert "relevance_score" not in found["shown"]
    assert found["order"] == found["later"] == ["1", "2"]
