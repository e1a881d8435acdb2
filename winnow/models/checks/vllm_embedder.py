"""Checks of a vLLM server that embeds."""

from __future__ import annotations

from typing import Final

from winnow.core.errors import UpstreamRejected
from winnow.core.identity import same_model
from winnow.core.settings.embedding import VllmEmbedding
from winnow.models.checks.vllm_cards import check_served, root_of
from winnow.models.http import ModelClient
from winnow.models.prompts import usual_instruct
from winnow.ports import Finding

_END_OF_TEXT: Final = 151643  # <|endoftext|>: Qwen3-Embedding's vector is the state of this token, the last one


async def check_vllm_embedder(client: ModelClient, settings: VllmEmbedding, instruct: str) -> list[Finding]:
    """Whether the server serves the configured model, takes texts of the configured length, and closes them rightly.

    ``instruct`` is what queries are embedded with: of an alias it is told whether that is the model's own.
    """
    findings, root = await check_served(client, settings, _models_path(settings))
    if len(findings) == 1:  # no such model, or none is shown
        return findings
    findings = [*findings, await _closing_token(client, settings.model, root or settings.model)]
    if settings.instruct is None and not usual_instruct(settings.model):
        findings.append(_alias(settings.model, root, instruct))
    return findings


async def root_of_alias(client: ModelClient, settings: VllmEmbedding) -> str:
    """The id or folder behind the configured name; empty where the server does not tell."""
    return await root_of(client, settings.model, _models_path(settings))


def _models_path(settings: VllmEmbedding) -> str:
    return settings.path.rsplit("/", 1)[0] + "/models"


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
    try:
        answer = await client.post("/tokenize", {"model": name, "prompt": "ready", "add_special_tokens": True})
    except UpstreamRejected:
        return Finding(check, "skipped", "the server does not show its tokens")
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if isinstance(tokens, list) and tokens and tokens[-1] == _END_OF_TEXT:
        return Finding(check, "ok", "the tokenizer closes a text with <|endoftext|>")
    fix = "serve the model with its own tokenizer.json, whose post-processor appends <|endoftext|>"
    return Finding(check, "failed", "the tokenizer does not close a text with <|endoftext|>", fix)
