"""The keyword arm: text to BM25 sparse vectors, and the tokenizers that indexes were built with.

An index keeps the tokenizer that it was created with: its points and the queries on it go through the same one.
"""

from winnow.vectors.keywords.encoders import FIRST, NEWEST, KeywordEncoder, encoder_of, stores_names

__all__ = ["FIRST", "NEWEST", "KeywordEncoder", "encoder_of", "stores_names"]
