"""What the service and the indexer must agree on: types, ports, errors, settings and the adapters behind the ports."""
