"""Models behind HTTP: one client with time limits, a connection pool and retries, and a dialect for each provider.

``client`` calls, ``refusals`` translates error answers. Only errors of ``winnow.core.errors`` leave this package.
"""

from winnow.models.http.client import ModelClient

__all__ = ["ModelClient"]
