"""Rerank and embeddings, called by the real clients of other providers. The reranker counts common words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doors.conftest import Client
from tests.support.served import served

BEST = [1, 2]  # "how to copy a file" and "a file", out of three


def test_cohere(foreign: Client) -> None:
    found = foreign("cohere_v2")
    assert (found["order"], found["again"], found["vectors"]) == (BEST, [1, 2, 0], 3)
    assert found["scores"] == sorted(found["scores"], reverse=True)
    assert found["spans"] == [["🎉 How to copy a file.", 1.0]]
    assert found["error"] == "documents is empty; send one at least"


def test_cohere_of_the_first_api(foreign: Client) -> None:
    found = foreign("cohere_v1")
    assert found["order"] == [1, 2, 0]
    assert found["texts"][0] == "how to copy a file"
    assert found["fields"] == [0, 1]


def test_langchain_cohere(foreign: Client) -> None:
    assert foreign("langchain_cohere_rerank")["order"] == BEST


def test_llama_index(foreign: Client) -> None:
    assert foreign("llama_index_rerankers") == {"cohere": BEST, "dashscope": BEST, "jina": BEST, "tei": BEST}


def test_langchain_community(foreign: Client) -> None:
    assert foreign("langchain_community_rerank") == {"dashscope": BEST, "jina": BEST}


def test_dashscope(foreign: Client) -> None:
    found = foreign("dashscope_sdk")
    assert (found["status"], found["order"], found["sizes"]) == (200, BEST, [16] * 3)
    assert found["texts"] == ["how to copy a file", "a file"]
    status, code, message = found["image"]
    assert (status, code) == (400, "InvalidParameter")
    assert "image" in message


def test_openai_and_what_is_built_on_it(foreign: Client) -> None:
    found = foreign("openai_embeddings")
    for name in ("base64", "langchain", "llama_index"):
        for vector, expected in zip(found[name], found["float"], strict=True):
            assert vector == pytest.approx(expected, abs=1e-6)
    assert (found["short"], found["tokens"] > 0) == (16, True)
    assert found["models"] == ["fake-words", "fake-overlap"]
    assert found["chat"] == [404, "not_offered"]
    message, param = found["error"]
    assert "input is empty" in message
    assert param == "input"
    assert "check_embedding_ctx_length=False" in found["ids"]


def test_hugging_face(foreign: Client) -> None:
    found = foreign("hugging_face")
    assert found["shape"][0] == 1
    assert found["closest"] == 1


def test_lite_llm(foreign: Client) -> None:
    assert foreign("lite_llm") == {"cohere": BEST, "jina_ai": BEST, "vectors": 3}


def test_clients_for_node(foreign: Client) -> None:
    found = foreign("models.mjs")
    assert (found["sdk"], found["objects"], found["cohere"]) == (BEST, [1, 2, 0], BEST)
    assert found["embedded"] == found["openai"]
    assert found["error"] == [400, "input is empty; send one text at least"]


def test_libre_chat_keeps_its_files(foreign: Client, tmp_path: Path) -> None:
    secret = "0123456789abcdef" * 2
    with served(tmp_path, WINNOW_SERVER__LIBRECHAT_SECRET=secret) as chat:
        found = foreign("librechat_files.mjs", secret, address=chat.address)
    assert (found["health"], found["embedded"]["status"], found["embedded"]["known_type"]) == (200, True, True)
    assert found["text"].endswith("and text")
    assert found["agent"] == [["a.txt", "how to copy a file, in LibreChat", True]]
    assert found["other"] == []
    assert found["context"] == "how to copy a file, in LibreChat"
    assert (found["deleted"], found["session"]) == ([200, 404], 401)


def test_libre_chat(foreign: Client) -> None:
    ranked = [["how to copy a file", True], ["a file", True]]
    assert foreign("librechat.mjs") == {"cohere": ranked, "jina": ranked, "rag-api": ranked}
