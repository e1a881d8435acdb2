"""Bulk indexing on Ray: a streaming plan where servers keep the data, a pool of embedders where this process does."""
