"""Embedders and rerankers, one file an adapter; ``build`` is the only map from settings to classes."""
