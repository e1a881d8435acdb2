"""Where the command line writes: results to stdout, everything else to stderr."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console


def out() -> Console:
    """The console for results."""
    return Console(highlight=False)


def err() -> Console:
    """The console for progress, notes and errors."""
    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    """Write one JSON value to stdout, indented, and nothing else."""
    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
    sys.stdout.flush()


def note(message: str) -> None:
    """Write one line of information to stderr."""
    err().print(message, style="dim", soft_wrap=True, markup=False)


def fail(message: str) -> None:
    """Write one line of error to stderr."""
    console = err()
    console.print("error:", style="bold red", end=" ")
    console.print(message, soft_wrap=True, markup=False)
