"""Keys as their owner meets them: made with the command, sent over HTTP, revoked; what the machine itself may do."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from tests.integration.test_cli import Cli

SECRET = "a secret that is longer than it has to be"


@contextmanager
def serving(cli: Cli, *options: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run `winnow serve`; yields the process and its address."""
    cli.env |= env
    with cli.start("serve", "--port", "0", *options) as process:
        try:
            assert process.stdout is not None
            lines = (line for line in process.stdout if "Winnow serves" in line)
            yield process, next(word for line in lines for word in line.split() if "http" in word)
        finally:
            process.terminate()
            process.communicate(timeout=30)


def status(url: str, key: str = "") -> int:
    """The status of a request for the collections."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        with urlopen(Request(f"{url}/v1/collections", headers=headers), timeout=10) as response:
            return int(response.status)
    except HTTPError as error:
        error.close()
        return error.code


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    # a data directory whose path is longer than that of a Unix socket may be
    return Cli(tmp_path / ("deep" * 10) / ("folder" * 10))


def test_from_the_first_key_on_requests_need_one_and_commands_of_the_machine_do_not(cli: Cli) -> None:
    with serving(cli) as (process, url):
        assert status(url) == 200
        assert status(url, "sk-anything") == 200
        made = cli("keys", "create", "--label", "admin", "--scope", "all")
        key = made.stdout.strip()
        assert "not shown again" in made.stderr
        assert [status(url), status(url, key), status(url, key[:-1])] == [401, 200, 401]
        assert cli.json("collections", "list") == {"collections": []}
        refused = cli("collections", "list", "--url", url)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert "needs a key" in refused.stderr
        assert cli("collections", "list", "--url", url, WINNOW_API_KEY=key).returncode == 0
        socket = cli.home / "data" / "winnow.sock"
        assert stat.S_IMODE(socket.stat().st_mode) == 0o600
        assert cli("keys", "revoke", key[:12]).returncode == 0
        assert [status(url), status(url, key)] == [401, 401]
        assert key not in " ".join(psutil.Process(process.pid).cmdline())
    assert not socket.exists()
    assert cli.json("keys", "list")["keys"][0]["revoked_at"]  # without a service, out of the catalog alone
    events = [event["action"] for event in cli.json("audit", "--action", "key.*")["events"]]
    assert events == ["key.revoke", "key.create"]


def test_other_machines_are_served_once_a_key_exists(cli: Cli) -> None:
    refused = cli("serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 2
    (command,) = [line.split() for line in refused.stderr.splitlines() if "winnow keys create" in line]
    made = cli(*command[1:])  # as it is printed
    assert made.returncode == 0, made.stderr
    with serving(cli, "--host", "0.0.0.0") as (_, url):
        assert [status(url), status(url, made.stdout.strip())] == [401, 200]


def test_a_bootstrap_key_comes_from_a_file_and_may_be_any_long_secret(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("short\n")
    too_short = cli("serve", "--port", "0", WINNOW_SERVER__BOOTSTRAP_KEY_FILE=str(file))
    assert too_short.returncode == 2
    assert "32 characters" in too_short.stderr
    file.write_text(f"{SECRET}\n")
    with serving(cli, "--host", "0.0.0.0", WINNOW_SERVER__BOOTSTRAP_KEY_FILE=str(file)) as (_, url):
        assert [status(url), status(url, SECRET), status(url, SECRET + "x")] == [401, 200, 401]
        site = cli("keys", "create", "-c", "docs", "--url", url, "--json", WINNOW_API_KEY=SECRET)
        assert json.loads(site.stdout)["created_by"] == "bootstrap"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--scope", "everything"), "unknown scope everything"),
        (("--expires", "soon"), "--expires 'soon'"),
        (("--origin", "example.com"), "invalid origin"),
        (("--origin", "https://example.com", "--scope", "all"), "scope search alone"),
        (("-c", "a b/c"), "invalid collection pattern"),
        (("--limit", "documents=5"), "unknown limit 'documents'"),
        (("--limit", "documents_per_day"), "--limit 'documents_per_day' is not of the form"),
    ],
)
def test_a_mistake_in_a_key_is_named(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    result = cli("keys", "create", *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr
    assert cli.json("keys", "list") == {"keys": []}
