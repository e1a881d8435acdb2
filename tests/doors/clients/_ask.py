"""Shared by the scripts: each is run with the service's address, and prints what its client returned as JSON."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "clients" / "python"))  # winnow-client as it is in this tree

BASE = sys.argv[1].rstrip("/")
KEY = "any-key"
QUERY = "copy a file"
DOCUMENTS = ["the weather is fine", "how to copy a file", "a file"]


def say(value):
    """Print the result."""
    json.dump(value, sys.stdout)
