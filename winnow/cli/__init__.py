"""The ``winnow`` command and the composition root: the one place that wires a service with an indexer."""

import os

# Before numpy is imported. The matrices of a search or of a chunk are small: on busy cores, where threads wait for each
# other, 120 token vectors take 0.4 ms of CPU with one thread and 8 ms with two, those of a query 0.05 and 0.8 to 2.5.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
