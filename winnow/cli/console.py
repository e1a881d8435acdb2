"""Output of the command line: results to stdout, progress, notes and errors to stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.table import Table


def out() -> Console:
    """The console for results."""
    return Console(highlight=False)


def err() -> Console:
    """The console for progress, notes and errors."""
    return Console(stderr=True, highlight=False)


def print_line(message: str) -> None:
    """Write one line of a result to stdout, as it is."""
    out().print(message, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Write one JSON value to stdout, indented, and nothing else."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())
    sys.stdout.flush()


def print_row(value: Any) -> None:
    """Write one JSON value as one line to stdout."""
    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE).decode())
    sys.stdout.flush()


def print_pairs(pairs: Iterable[tuple[str, Any]]) -> None:
    """Write names and values in two columns; a value that is missing is a dash."""
    table = Table(box=None, show_header=False)
    for name, value in pairs:
        table.add_row(name, "–" if value in (None, {}, "") else str(value))
    out().print(table)


def note(message: str) -> None:
    """Write one line of information to stderr."""
    err().print(message, style="dim", soft_wrap=True, markup=False)


def fail(message: str) -> None:
    """Write one line of error to stderr."""
    console = err()
    console.print("error:", style="bold red", end=" ")
    console.print(message, soft_wrap=True, markup=False)


class ShowProgress(Protocol):
    """Sets a progress bar to ``done`` of ``total`` (unchanged where ``None``), with ``text`` beside it."""

    def __call__(self, done: int, total: int | None = None, text: str = "") -> None: ...


@contextmanager
def progress_bar(
    title: str, *, total: int | None = None, keep: bool = False, in_bytes: bool = False
) -> Iterator[ShowProgress]:
    """Show a bar on stderr while the body runs; afterwards it is removed unless it is to be kept."""
    from rich import progress as bar

    counts: tuple[bar.ProgressColumn, ...] = (bar.MofNCompleteColumn(), bar.TextColumn("{task.fields[text]}"))
    columns = (
        *(bar.TextColumn("{task.description}"), bar.BarColumn(bar_width=16)),
        *((bar.DownloadColumn(), bar.TransferSpeedColumn()) if in_bytes else counts),
        *(bar.TimeElapsedColumn(), bar.TextColumn("ETA"), bar.TimeRemainingColumn()),
    )
    with bar.Progress(*columns, console=err(), transient=not keep) as progress:
        task = progress.add_task(title, total=total, text="")

        def show(done: int, total: int | None = None, text: str = "") -> None:
            progress.update(task, completed=done, total=total, text=text)

        yield show
