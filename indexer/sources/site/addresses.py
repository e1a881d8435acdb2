"""Connects to public addresses only, so that no page can direct requests into the crawler's own network.

The address is checked where its socket is created, so that no redirect, no second answer of a name server and no
unusual spelling of an address bypasses the check.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType
from aiohttp.resolver import ThreadedResolver

_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")  # NAT64, RFC 6052
_COMPATIBLE: Final = ipaddress.ip_network("::/96")  # deprecated form of IPv4, RFC 4291


class AddressRefused(OSError):
    """The address is not public."""

    def __init__(self, host: str, address: str) -> None:
        super().__init__(f"{host} is {address}" if host != address else address)


def is_public(address: str) -> bool:
    """Whether an IP address is globally routable unicast, including IPv4 embedded in IPv6."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = [ip.ipv4_mapped, ip.sixtofour, *(ip.teredo or ())]
        if ip in _TRANSLATED or ip in _COMPATIBLE:
            inner.append(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF))
        embedded = [part for part in inner if part is not None]
        if embedded:
            return all(_is_public(part) for part in embedded)
        if ip.is_site_local:
            return False
    return _is_public(ip)


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def connector(*, allow_private: bool, limit: int) -> aiohttp.TCPConnector:
    """A connector for ``limit`` connections that refuses private addresses unless they are allowed.

    A refused request raises ``aiohttp.ClientConnectorError`` with ``AddressRefused`` as its ``os_error``.
    """
    if allow_private:
        return aiohttp.TCPConnector(limit=limit)
    return aiohttp.TCPConnector(limit=limit, resolver=_PublicResolver(), socket_factory=_public_socket)


class _PublicResolver(AbstractResolver):
    """Refuses a name if one of its addresses is private: such a name is at best misconfigured."""

    def __init__(self) -> None:
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._resolver.resolve(host, port, family)
        for result in found:
            if not is_public(result["host"]):
                raise AddressRefused(host, result["host"])
        return found

    async def close(self) -> None:
        await self._resolver.close()


def _public_socket(info: AddrInfoType) -> socket.socket:
    family, kind, protocol, _, address = info
    if not is_public(str(address[0])):
        raise AddressRefused(str(address[0]), str(address[0]))
    return socket.socket(family, kind, protocol)
