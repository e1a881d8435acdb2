"""Repositories of Git as sources."""
