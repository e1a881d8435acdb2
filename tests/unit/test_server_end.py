"""How long a service that is asked to end waits for open requests."""

from __future__ import annotations

import signal

import pytest

from service.start_gate import StartGate
from winnow.cli.server import SHUTDOWN_SECONDS, _Server
from winnow.core.settings import ServerSettings


@pytest.mark.parametrize(("sig", "seconds"), [(signal.SIGTERM, 43), (signal.SIGINT, SHUTDOWN_SECONDS)])
def test_sigterm_leaves_open_requests_the_time_of_the_longest_call_and_ctrl_c_seconds(sig: int, seconds: int) -> None:
    server = _Server(ServerSettings(model_seconds=42.5), StartGate())
    server.handle_exit(sig, None)
    assert server.should_exit
    assert server.config.timeout_graceful_shutdown == seconds
