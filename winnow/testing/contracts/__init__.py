"""The tests that every adapter of a port must pass: inherit a suite, supply its fixture. Needs the extra ``testing``.

With ``pytest-asyncio`` in the mode ``auto``.
"""

import pytest

_SUITES = ("embedder", "matching", "reranker", "source", "vector_store")
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in _SUITES))
