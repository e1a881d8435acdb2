"""What a vLLM server says of its models: the cards at ``/v1/models``.

Source: vLLM's ``ModelCard``: ``id`` is the name it is called by, ``root`` the id or folder it was loaded from,
``max_model_len`` the tokens it takes.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from winnow.core.settings.embedding import VllmEmbedding
from winnow.core.settings.rerank import VllmRerank
from winnow.models.http import ModelClient
from winnow.ports import Finding

PATH: Final = "/v1/models"


class Served(NamedTuple):
    """The findings on a configured model, and where the server has it from; empty where it does not tell."""

    findings: list[Finding]
    root: str = ""


async def check_served(client: ModelClient, settings: VllmEmbedding | VllmRerank, path: str = PATH) -> Served:
    """Whether the server has the configured model, and takes texts of the configured length."""
    group = "WINNOW_EMBEDDING" if isinstance(settings, VllmEmbedding) else "WINNOW_RERANK"
    status, cards = await _cards(client, path)
    if not cards:
        return Served([Finding("model served", "skipped", f"the server shows no list of its models (status {status})")])
    if settings.model not in cards:
        seen = f"the server has {', '.join(cards)}, not {settings.model}"
        fix = f"set {group}__MODEL to the name that the server gives it, or serve the model"
        return Served([Finding("model served", "failed", seen, fix)])
    card = cards[settings.model]
    served = Finding("model served", "ok", settings.model)
    return Served([served, _length(card.get("max_model_len"), settings.max_tokens, group)], _root(card))


async def root_of(client: ModelClient, model: str, path: str = PATH) -> str:
    """The id or folder that the server loaded as ``model``; empty where it does not tell."""
    _, cards = await _cards(client, path)
    return _root(cards.get(model, {}))


async def _cards(client: ModelClient, path: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The status of the answer, and the cards by name."""
    status, answer = await client.get(path)
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
