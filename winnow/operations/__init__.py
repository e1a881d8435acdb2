"""Use cases that more than one door calls."""
