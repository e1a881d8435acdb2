"""Tuning of Python's garbage collector for a process that answers searches."""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 50_000  # made and not freed since the last collection


def tune_gc() -> None:
    """Exclude the objects that are loaded already from collections, and make collections rarer.

    A search makes some 2,000 objects, which their reference counts free. Looking for cycles among them takes a tenth of
    a search, and an occasional pass over the whole heap takes 100 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
