"""The ``winnow`` command and the composition root: the one place that wires a service with an indexer."""
