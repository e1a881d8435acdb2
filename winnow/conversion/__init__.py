"""Converts what people write and publish to canonical Markdown, the text that is stored, searched and returned."""
