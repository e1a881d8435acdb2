"""RSS and Atom feeds as sources."""
