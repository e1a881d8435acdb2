"""Models behind HTTP: one client, and a dialect for each provider. Only errors of ``winnow.core.errors`` leave."""
