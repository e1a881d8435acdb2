"""The hop to models behind HTTP: one client with its timeouts, its pool and the only retries in the house.

``client`` calls, ``refusals`` reads what a provider says
when it does not answer. Nothing but ``winnow.core.errors`` leaves here.
"""

from winnow.models.http.client import ModelClient

__all__ = ["ModelClient"]
