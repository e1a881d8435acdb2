"""txtai indexing in process, for the virtual environment of txtai: ``python txtai_index.py MODEL DOCUMENTS.jsonl``.

Reads ``{"id", "text"}`` a line, prints the seconds that indexing took, model loading and a warm-up left out.
"""

from __future__ import annotations

import json
import sys
import time

from txtai import Embeddings  # type: ignore[import-not-found] # lives in an environment of its own

if __name__ == "__main__":
    with open(sys.argv[2], encoding="utf-8") as lines:  # noqa: PTH123 - stays as plain as txtai's own examples
        documents = [json.loads(line) for line in lines]
    embeddings = Embeddings(path=sys.argv[1], content=True)
    embeddings.index(documents[:32])
    started = time.perf_counter()
    embeddings.index(documents)
    print(time.perf_counter() - started)
