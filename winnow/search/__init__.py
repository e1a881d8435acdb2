"""The two stages of a search, and what surrounds them."""
