"""The address that the service binds to, and the hosts that it answers for."""

from __future__ import annotations

import shlex
from ipaddress import ip_address
from urllib.parse import urlsplit

from winnow.core.errors import InvalidSettings
from winnow.core.settings import ServerSettings, Settings


def is_exposed(server: ServerSettings) -> bool:
    """Whether other machines can reach the service, and the settings do not say that this is wanted without a key."""
    return not is_loopback(server.host) and not server.insecure


def check_bind(settings: Settings, *, has_keys: bool) -> None:
    """Refuse to bind to an address that other machines can reach while no key exists.

    Raises:
        InvalidSettings: the host is not loopback, there is no key, and ``server.insecure`` is not set.
    """
    server = settings.server
    if has_keys or not is_exposed(server):
        return
    where = f" --data-dir {shlex.quote(str(settings.data_dir))}" if settings.keeps_data else ""
    raise InvalidSettings(
        f"other machines can reach server.host {server.host!r}, and no key protects the service. Make a key:\n"
        f"  winnow keys create --label admin --scope all{where}\n"
        "or choose the first one yourself:\n"
        '  export WINNOW_SERVER__BOOTSTRAP_KEY="$(openssl rand -base64 48)"\n'
        "or bind to 127.0.0.1. --insecure (WINNOW_SERVER__INSECURE=true) lets in everyone who can reach the address.",
        location=("server", "host"),
    )


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    name = host.strip("[]").lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def served_hosts(server: ServerSettings) -> frozenset[str] | None:
    """Hosts that a request may name besides loopback addresses; ``None`` allows any.

    If a service on loopback answered for any name, a web page could read it by making its own name resolve to
    127.0.0.1 (DNS rebinding).
    """
    if not server.allowed_hosts and (server.insecure or not is_loopback(server.host)):
        return None
    origins = (urlsplit(origin).hostname or "" for origin in server.cors_origins)
    return frozenset({"127.0.0.1", "localhost", *origins, *(host.lower() for host in server.allowed_hosts)})


def is_address(host: str) -> bool:
    """Whether a host is an IP address."""
    try:
        return bool(ip_address(host))
    except ValueError:
        return False


def host_name(header: str) -> str:
    """The host of a ``Host`` header without its port, in lower case."""
    if header.startswith("["):
        return header.partition("]")[0].lstrip("[").lower()
    return header.rpartition(":")[0].lower() if ":" in header else header.lower()
