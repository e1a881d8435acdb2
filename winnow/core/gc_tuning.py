"""Python's garbage collector in a process that answers searches."""

from __future__ import annotations

import gc
from typing import Final

YOUNG_OBJECTS: Final = 50_000  # made and not freed since the last collection


def spare_the_collector() -> None:
    """Leave out of collections what is loaded by now, and make them rarer.

    A search makes some 2,000 objects and frees them by count: looking for cycles among them takes a tenth of a search,
    and the whole heap is looked through now and then, which takes 100 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
