"""Checks of a vLLM server: the models that it serves (``/v1/models``), and an embedder's closing token and instruct.

Source: vLLM's ``ModelCard``: ``id`` is the name it is called by, ``root`` the id or folder it was loaded from,
``max_model_len`` the tokens it takes.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from winnow.core.errors import UpstreamRejected
from winnow.core.identity import same_model
from winnow.core.settings.embedding import VllmEmbedding
from winnow.core.settings.rerank import VllmRerank
from winnow.models.http.client import ModelClient
from winnow.models.prompts import usual_instruct
from winnow.ports import Finding

_END_OF_TEXT: Final = 151643  # <|endoftext|>: Qwen3-Embedding's vector is the state of this token, the last one


class Served(NamedTuple):
    """The findings on a configured model, and where the server has it from; empty where it does not tell."""

    findings: list[Finding]
    root: str = ""


async def check_vllm_embedder(client: ModelClient, settings: VllmEmbedding, instruct: str) -> list[Finding]:
    """Whether the server serves the configured model, takes texts of the configured length, and closes them rightly.

    ``instruct`` is what queries are embedded with: of an alias it is told whether that is the model's own.
    """
    findings, root = await check_served(client, settings)
    if len(findings) == 1:  # no such model, or none is shown
        return findings
    findings.append(await _closing_token(client, settings.model, root or settings.model))
    if settings.instruct is None and not usual_instruct(settings.model):
        findings.append(_alias(settings.model, root, instruct))
    return findings


async def check_served(client: ModelClient, settings: VllmEmbedding | VllmRerank) -> Served:
    """Whether the server has the configured model, and takes texts of the configured length."""
    group = "WINNOW_EMBEDDING" if isinstance(settings, VllmEmbedding) else "WINNOW_RERANK"
    status, cards = await _cards(client, settings)
    if not cards:
        return Served([Finding("model served", "skipped", f"the server shows no list of its models (status {status})")])
    if settings.model not in cards:
        seen = f"the server has {', '.join(cards)}, not {settings.model}"
        fix = f"set {group}__MODEL to the name that the server gives it, or serve the model"
        return Served([Finding("model served", "failed", seen, fix)])
    card = cards[settings.model]
    served = Finding("model served", "ok", settings.model)
    return Served([served, _length(card.get("max_model_len"), settings.max_tokens, group)], _root(card))


async def root_of_alias(client: ModelClient, settings: VllmEmbedding) -> str:
    """The id or folder behind the configured name; empty where the server does not tell."""
    _, cards = await _cards(client, settings)
    return _root(cards.get(settings.model, {}))


async def _cards(client: ModelClient, settings: VllmEmbedding | VllmRerank) -> tuple[int, dict[str, dict[str, Any]]]:
    """The status of the answer, and the cards by name."""
    base = settings.path.rsplit("/", 1)[0] if isinstance(settings, VllmEmbedding) else "/v1"
    status, answer = await client.get(f"{base}/models")
    cards = answer.get("data") if status == 200 and isinstance(answer, dict) else None
    listed = cards if isinstance(cards, list) else []
    return status, {str(card.get("id")): card for card in listed if isinstance(card, dict)}


def _root(card: dict[str, Any]) -> str:
    root = card.get("root")
    return root if isinstance(root, str) else ""


def _length(limit: Any, wanted: int, group: str) -> Finding:
    if not isinstance(limit, int):
        return Finding("length", "skipped", "the server does not say how long a text may be")
    if limit >= wanted:
        return Finding("length", "ok", f"{limit:,} tokens")
    fix = f"set {group}__MAX_TOKENS to {limit}, or start vLLM with --max-model-len {wanted}"
    return Finding("length", "failed", f"the server takes {limit:,} tokens, {wanted:,} are configured", fix)


def _alias(model: str, root: str, instruct: str) -> Finding:
    """Whether an alias has the instruct of the model behind it."""
    check, remedy = "instruct of the model", "WINNOW_EMBEDDING__INSTRUCT"
    if not root or root == model:
        seen = f"the server does not say which model {model} is: queries go without an instruct unless {remedy} is set"
        return Finding(check, "skipped", seen)
    if usual_instruct(root) == instruct:
        seen = f"{model} is {root}, {'queries carry its instruct' if instruct else 'queries go without'}"
        return Finding(check, "ok", seen)
    seen = f"{model} is {root}, which was not known when Winnow started: queries go without its instruct"
    return Finding(check, "failed", seen, f"start Winnow again, or set {remedy} to what queries are to carry")


async def _closing_token(client: ModelClient, name: str, model: str) -> Finding:
    """Without its closing token a text's vector is that of its last word. ``name`` is what the server calls it."""
    check = "closing token"
    if not any(same_model(model, f"Qwen/Qwen3-Embedding-{size}") for size in ("0.6B", "4B", "8B")):
        return Finding(check, "skipped", f"not known for {model}")
    asked = {"model": name, "prompt": "ready", "add_special_tokens": True}
    try:
        answer = await client.post("/tokenize", asked, at_root=True)
    except UpstreamRejected:
        return Finding(check, "skipped", "the server does not show its tokens")
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if isinstance(tokens, list) and tokens and tokens[-1] == _END_OF_TEXT:
        return Finding(check, "ok", "the tokenizer closes a text with <|endoftext|>")
    fix = "serve the model with its own tokenizer.json, whose post-processor appends <|endoftext|>"
    return Finding(check, "failed", "the tokenizer does not close a text with <|endoftext|>", fix)
