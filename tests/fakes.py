"""Settings that choose the fakes of ``winnow.testing``, for `load_settings` and as variables for child processes."""

from __future__ import annotations

import json
from typing import Any, Final

EMBEDDER: Final = {"provider": "custom", "factory": "winnow.testing.models:FakeEmbedder"}
RERANKER: Final = {"provider": "custom", "factory": "winnow.testing.models:FakeReranker"}
STORE: Final = {"provider": "custom", "factory": "winnow.testing.vectors:FakeVectorStore"}

MODELS: Final[dict[str, Any]] = {"embedding": EMBEDDER, "rerank": RERANKER}
FAKES: Final[dict[str, Any]] = {**MODELS, "vectors": STORE}


def variables(**groups: dict[str, Any]) -> dict[str, str]:
    """Groups of settings as environment variables: ``variables(embedding=EMBEDDER)``."""
    return {
        f"WINNOW_{group}__{key}".upper(): value if isinstance(value, str) else json.dumps(value)
        for group, settings in groups.items()
        for key, value in settings.items()
    }
