"""The search process: HTTP in, HTTP out. It knows the ports of ``retrieval`` and no vendor."""
