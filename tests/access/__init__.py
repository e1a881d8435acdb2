"""Who sees what: tenants, access lists, tokens; random probes against an oracle of its own."""
