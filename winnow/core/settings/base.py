"""Base classes of the settings groups: frozen groups, custom adapters, endpoints."""

from __future__ import annotations

from importlib import import_module
from operator import attrgetter
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from winnow.core.errors import InvalidSettings

Port = TypeVar("Port")


class Group(BaseModel):
    """Base of every group: frozen, and no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def plain_url(value: str) -> str:
    """An address without a slash at its end. A key in it would end up in logs."""
    value = value.strip().rstrip("/")
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address like https://host:port")
    if parts.username is not None or parts.query or parts.fragment:
        raise ValueError("must not contain a user, a password or a query; put the key into the setting API_KEY")
    return value


def plain_urls(value: str) -> str:
    """Addresses of one server, or of several that serve the same, as ``plain_url`` has them, separated by commas."""
    urls = [plain_url(part) for part in value.split(",")]
    if twice := next((url for url in urls if urls.count(url) > 1), None):
        raise ValueError(f"names {twice} twice")
    return ",".join(urls)


def sendable_key(value: SecretStr) -> SecretStr:
    """A key as a header can hold it; a line end at its end comes from a file and is dropped."""
    key = value.get_secret_value().strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError("contains characters that an HTTP header cannot hold: fill in the key itself")
    return SecretStr(key)


class Custom(Group):
    """An adapter of your own. Its factory is called with the options when a process starts."""

    provider: Literal["custom"] = "custom"
    factory: str = Field(pattern=r"^[\w.]+:[\w.]+$", description="package.module:callable")
    options: dict[str, Any] = Field({}, description="keyword arguments of the factory, as a JSON object")

    def make(self, port: type[Port], **more: Any) -> Port:
        """Call the factory with the options, and ``more`` of them.

        Raises:
            InvalidSettings: it cannot be imported or called with these options, or the object that it returns lacks a
                member of ``port``.
        """
        module, _, name = self.factory.partition(":")
        options = self.options | more
        try:
            function = attrgetter(name)(import_module(module))
        except (ImportError, AttributeError) as error:
            raise InvalidSettings(
                f"the factory {self.factory} cannot be imported ({error}): it is named as package.module:callable, and "
                "its package must be installed or on PYTHONPATH"
            ) from error
        try:
            made = function(**options)
        except (TypeError, ValueError) as error:
            wrong = f"the factory {self.factory} failed with the options {sorted(options)}: {error}"
            raise InvalidSettings(wrong) from error
        if isinstance(made, port):
            return made
        raise InvalidSettings(
            f"the factory {self.factory} returned {type(made).__name__}, which lacks members of "
            f"winnow.ports.{port.__name__}"
        )


class Endpoint(Group):
    """A model behind HTTP: its address, the key, the time limit of calls."""

    provider: str
    url: str = Field(
        description="address of the server, its API (…/v1) or the call; or several, separated by commas, that serve "
        "the same model and share its calls"
    )
    api_key: SecretStr = SecretStr("")
    auth_scheme: Literal["bearer", "raw"] = Field("bearer", description="raw: the bare key in the Authorization header")
    timeout_seconds: float = Field(30.0, gt=0, description="longest wait for one answer")
    connections: int = Field(8, ge=1, le=256, description="calls that run at the same time at one address")

    _plain_urls = field_validator("url")(plain_urls)
    _sendable_key = field_validator("api_key")(sendable_key)

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses of ``url``, one at least."""
        return tuple(self.url.split(","))
