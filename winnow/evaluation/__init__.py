"""Judged queries in, metrics with confidence intervals out.

``load_dataset`` reads a test collection, ``evaluate`` runs its queries through the search that serves users, and the
``Evaluation`` that it returns is rendered as JSON, as a table or as an HTML page.
"""
