"""Use cases that more than one entry point calls."""
