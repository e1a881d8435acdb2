"""Sources: readers that yield documents. ``build.open_source`` is the only map from a name to a reader."""
