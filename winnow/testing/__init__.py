"""Fakes and contract suites for those who write an adapter."""
