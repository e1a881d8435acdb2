"""Domain types, errors and settings. Imports nothing else of Winnow."""
