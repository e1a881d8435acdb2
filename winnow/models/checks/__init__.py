"""Checks of deployed models: what only a model server itself can show."""
