"""Who may reach the service."""

from __future__ import annotations

import pytest

from service.binding import check_bind, host_name, is_loopback, served_hosts
from winnow.core.errors import InvalidSettings
from winnow.core.settings import load_settings


def with_server(**server):
    return load_settings(server=server)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST.", "a.localhost"])
def test_loopback_may_be_bound(host):
    assert is_loopback(host)
    check_bind(with_server(host=host), has_keys=False)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.com", "localhost.evil.example", ""])
def test_other_addresses_are_refused_with_the_remedy(host):
    with pytest.raises(InvalidSettings, match="--insecure") as caught:
        check_bind(with_server(host=host), has_keys=False)
    for remedy in ("127.0.0.1", "winnow keys create", "WINNOW_SERVER__BOOTSTRAP_KEY="):
        assert remedy in caught.value.message
    check_bind(with_server(host=host, insecure=True), has_keys=False)
    check_bind(with_server(host=host), has_keys=True)


def test_served_hosts_are_limited_on_loopback_only():
    assert served_hosts(with_server(insecure=True).server) is None
    assert served_hosts(with_server(host="0.0.0.0").server) is None
    hosts = served_hosts(with_server(cors_origins=["https://site.example:8443"]).server)
    assert hosts is not None
    assert "site.example" in hosts


@pytest.mark.parametrize(
    ("header", "name"),
    [("A.example:80", "a.example"), ("a.example", "a.example"), ("[::1]:80", "::1"), ("[::1]", "::1"), ("", "")],
)
def test_host_header_is_read_without_its_port(header, name):
    assert host_name(header) == name
