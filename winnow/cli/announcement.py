"""What `winnow serve` prints when it serves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from winnow.cli.console import err, out

INDEXES_NOTHING: Final = "This process indexes nothing: run `winnow worker` too, or serve with --with-worker.\n"
OPEN_TO_ALL: Final = "No key exists: everyone who can reach this address can read, write and delete everything."


@dataclass(frozen=True, slots=True)
class Announcement:
    """The address, a command to try, and who may connect.

    Attributes:
        url: of the service.
        collections: their names.
        indexes: whether this process has a worker.
        needs_key: whether requests need a key.
    """

    url: str
    collections: Sequence[str]
    indexes: bool
    needs_key: bool

    def show(self, *, insecure: bool) -> None:
        """Print it; ``insecure`` says that other machines may connect although there is no key."""
        console = out()
        console.print(
            f"\n[bold]Winnow serves[/bold] {self.url}    search page {self.url}/    API {self.url}/docs", soft_wrap=True
        )
        if self.collections:
            console.print(f"Try:  {self._curl()}\n", markup=False, soft_wrap=True)
        else:
            console.print(
                "No collections yet. Create one:  winnow index ./docs -c docs\n", markup=False, soft_wrap=True
            )
        if not self.indexes:
            console.print(INDEXES_NOTHING, markup=False)
        if self.needs_key:
            console.print(
                "Requests need a key: winnow keys list. Ctrl-C stops the service.\n", style="dim", markup=False
            )
        elif insecure:
            err().print(OPEN_TO_ALL, style="bold red")
        else:
            console.print(
                "No key exists: only this machine can connect. Ctrl-C stops the service.\n", style="dim", markup=False
            )

    def _curl(self) -> str:
        name = "python" if "python" in self.collections else self.collections[0]
        query = "copy a file and its metadata" if name == "python" else "your question"
        key = ' -H "Authorization: Bearer $WINNOW_API_KEY"' if self.needs_key else ""
        body = f'{{"query": "{query}", "top_n": 3}}'
        return f"curl -s {self.url}/v1/collections/{name}/search{key} --json '{body}'"
