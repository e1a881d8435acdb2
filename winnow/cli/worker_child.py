"""One worker of a pool: ``python -m winnow.cli.worker_child SOCKET [DATA_DIR]``, as ``winnow worker`` starts it.

It reports on itself through the Unix socket. It ends as ``winnow worker`` does on SIGTERM, and when its standard input
ends.
"""

from __future__ import annotations

import sys
from pathlib import Path

from winnow.cli.command import configure
from winnow.cli.operations_port import bind_local
from winnow.cli.processes import run_worker


def main() -> None:
    """Work until told to stop; what is wrong goes to stderr in one line, with the exit status of the command."""
    from winnow.cli.main import ends_with_status

    own, *rest = map(Path, sys.argv[1:])
    data_dir = rest[0] if rest else None
    with ends_with_status(), bind_local(own) as listener:
        run_worker(configure(data_dir, quiet=False), listener, lifeline=sys.stdin.fileno())


if __name__ == "__main__":
    main()
