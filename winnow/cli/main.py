"""The ``winnow`` command. The parts of the product load when a command runs, so that ``--help`` is quick."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Final

import typer

from winnow.cli import analytics, collections, jobs, keys, rules, sources
from winnow.cli.audit import audit
from winnow.cli.backup import backup, restore
from winnow.cli.calibrate import calibrate
from winnow.cli.console import fail
from winnow.cli.doctor import doctor
from winnow.cli.evaluate import evaluate
from winnow.cli.index import index
from winnow.cli.inspect import inspect
from winnow.cli.mcp import mcp
from winnow.cli.processes import migrate, serve, worker
from winnow.cli.reembed import reembed
from winnow.cli.search import search
from winnow.cli.size import size
from winnow.cli.verify import verify
from winnow.core.errors import InvalidInput, WinnowError
from winnow.core.gc_tuning import collect_rarely
from winnow.core.import_path import put_ours_first

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

app = typer.Typer(
    name="winnow",
    help="Two-stage semantic search: index documents, retrieve candidates, rerank them, see what each stage did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(collections.app, name="collections")
app.add_typer(jobs.app, name="jobs")
app.add_typer(keys.app, name="keys")
app.add_typer(sources.app, name="sources")
app.add_typer(rules.app, name="rules")
app.add_typer(analytics.app, name="analytics")
for command in (
    serve,
    worker,
    migrate,
    index,
    inspect,
    search,
    doctor,
    reembed,
    calibrate,
    verify,
    backup,
    restore,
    audit,
    mcp,
    size,
):
    app.command()(command)
app.command("eval")(evaluate)


def print_version(asked: bool) -> None:
    """Print the version and exit."""
    if asked:
        from importlib.metadata import version

        typer.echo(version("winnow-search"))
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Two-stage semantic search."""


@contextmanager
def ends_with_status() -> Iterator[None]:
    """End the process for a ``WinnowError`` with one line on stderr and an exit status.

    Exit status: 0 success, 1 failure of the command or of some documents, 2 wrong input, 130 interrupted.
    """
    try:
        yield
    except WinnowError as error:
        fail(error.message)
        sys.exit(EXIT_USAGE if isinstance(error, InvalidInput) else EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; exits as ``ends_with_status`` says."""
    collect_rarely()
    put_ours_first()
    with ends_with_status():
        app(args=list(arguments) if arguments is not None else None)


if __name__ == "__main__":
    main()
