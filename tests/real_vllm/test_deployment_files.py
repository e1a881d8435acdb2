"""What ``deploy/vllm`` ships, as far as it can be told without a server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from winnow.core.settings.embedding import QWEN3_INSTRUCT, VllmEmbedding
from winnow.core.settings.rerank import VllmRerank
from winnow.models.prompts import RERANK_PREFIX, RERANK_SUFFIX, rerank_document, rerank_head

DEPLOY = Path(__file__).parents[2] / "deploy" / "vllm"
TEMPLATE = (DEPLOY / "qwen3_reranker.jinja").read_text("utf-8")


def rendered(template: str, query: str, document: str, **instruction: str) -> str:
    """As vLLM renders it: by transformers, the two texts as messages of roles of their own."""
    from transformers.utils.chat_template_utils import render_jinja_template

    messages = [{"role": "query", "content": query}, {"role": "document", "content": document}]
    prompts, _ = render_jinja_template(conversations=[messages], chat_template=template, **instruction)
    return str(prompts[0])


def reference(instruct: str, query: str, document: str) -> str:
    return RERANK_PREFIX + rerank_head(instruct, query) + rerank_document(document) + RERANK_SUFFIX


@pytest.mark.parametrize(
    ("query", "document"),
    [
        ("What is the capital of France?", "Paris is the capital of France."),
        ("“珠穆朗玛峰”有多高？", "海拔约8849米。"),
        ("two\nlines", "\n  leading and trailing space \n\n"),
        ("{{ query }} {% raw %}", "{# comment #} {{ instruction }} <b>&amp;</b>"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("instruct", ["Judge whether the passage answers the question", "找到相关段落"])
def test_the_template_renders_the_reference_prompt(instruct: str, query: str, document: str) -> None:
    assert rendered(TEMPLATE, query, document, instruction=instruct) == reference(instruct, query, document)


def test_without_an_instruct_it_is_the_one_that_the_model_was_trained_with() -> None:
    assert rendered(TEMPLATE, "q", "d") == reference(QWEN3_INSTRUCT, "q", "d")
    assert rendered(TEMPLATE, "q", "d", instruction="") == reference(QWEN3_INSTRUCT, "q", "d")


@pytest.mark.parametrize("ending", ["", "\n", "\n\n\n"])
def test_line_ends_after_the_template_change_nothing(ending: str) -> None:
    """Editors and Kubernetes add and drop them."""
    assert rendered(TEMPLATE.rstrip("\n") + ending, "q", "d") == reference(QWEN3_INSTRUCT, "q", "d")


@pytest.mark.parametrize(
    ("file", "expected"),
    [("embedder.yaml", VllmEmbedding()), ("reranker.yaml", VllmRerank())],
    ids=["embedder", "reranker"],
)
def test_servers_listen_where_winnow_looks_for_them(file: str, expected: VllmEmbedding | VllmRerank) -> None:
    settings = yaml.safe_load((DEPLOY / file).read_text("utf-8"))
    assert settings["model"] == expected.model
    assert f"http://127.0.0.1:{settings['port']}" == expected.url
    assert settings["max-model-len"] >= expected.max_tokens


def test_the_template_that_the_reranker_names_is_beside_it() -> None:
    settings = yaml.safe_load((DEPLOY / "reranker.yaml").read_text("utf-8"))
    assert (DEPLOY / settings["chat-template"]).read_text("utf-8") == TEMPLATE
