"""What a check-up looks at on a vLLM server that embeds."""

from __future__ import annotations

from typing import Any, Final

from retrieval.errors import UpstreamRejected
from retrieval.http import ModelClient
from retrieval.identity import same_model
from retrieval.ports import Finding
from retrieval.settings.embedding import VllmEmbedding

_END_OF_TEXT: Final = 151643  # <|endoftext|>: Qwen3-Embedding's vector is the state of this token, the last one


async def check_vllm(client: ModelClient, settings: VllmEmbedding) -> list[Finding]:
    """Whether the server serves the configured model, takes texts of the configured length, and closes them rightly."""
    status, answer = await client.get(settings.path.rsplit("/", 1)[0] + "/models")
    cards = answer.get("data") if status == 200 and isinstance(answer, dict) else None
    served = {card.get("id"): card for card in cards if isinstance(card, dict)} if isinstance(cards, list) else {}
    if not served:
        return [Finding("model served", "skipped", f"the server shows no list of its models (status {status})")]
    if settings.model not in served:
        names = ", ".join(map(str, served))
        fix = "set WINNOW_EMBEDDING__MODEL to the name that the server gives it, or serve the model"
        return [Finding("model served", "failed", f"the server has {names}, not {settings.model}", fix)]
    limit = served[settings.model].get("max_model_len")
    return [
        Finding("model served", "ok", settings.model),
        _length(limit, settings.max_tokens),
        await _closing_token(client, settings.model),
    ]


def _length(limit: Any, wanted: int) -> Finding:
    if not isinstance(limit, int):
        return Finding("length", "skipped", "the server does not say how long a text may be")
    if limit >= wanted:
        return Finding("length", "ok", f"texts of {limit:,} tokens")
    fix = f"set WINNOW_EMBEDDING__MAX_TOKENS to {limit}, or start vLLM with --max-model-len {wanted}"
    return Finding("length", "failed", f"the server takes {limit:,} tokens, {wanted:,} are configured", fix)


async def _closing_token(client: ModelClient, model: str) -> Finding:
    """Without its closing token a text's vector is that of its last word."""
    check = "closing token"
    if not any(same_model(model, f"Qwen/Qwen3-Embedding-{size}") for size in ("0.6B", "4B", "8B")):
        return Finding(check, "skipped", f"not known for {model}")
    try:
        answer = await client.post("/tokenize", {"model": model, "prompt": "ready", "add_special_tokens": True})
    except UpstreamRejected:
        return Finding(check, "skipped", "the server does not show its tokens")
    tokens = answer.get("tokens") if isinstance(answer, dict) else None
    if isinstance(tokens, list) and tokens and tokens[-1] == _END_OF_TEXT:
        return Finding(check, "ok", "the tokenizer closes a text with <|endoftext|>")
    fix = "serve the model with its own tokenizer.json, whose post-processor appends <|endoftext|>"
    return Finding(check, "failed", "the tokenizer does not close a text with <|endoftext|>", fix)
