"""Objects that a factory of the user's makes: adapters that Winnow does not know by name."""

from __future__ import annotations

from importlib import import_module
from operator import attrgetter
from typing import Any, TypeVar

from winnow.core.errors import InvalidSettings

Port = TypeVar("Port")


def make_custom(factory: str, options: dict[str, Any], port: type[Port]) -> Port:
    """Call ``factory``, named as ``package.module:callable``, with ``options`` as keyword arguments.

    Raises:
        InvalidSettings: it cannot be imported or called with these options, or what it returns lacks a member of
            ``port``.
    """
    module, _, name = factory.partition(":")
    try:
        function = attrgetter(name)(import_module(module))
    except (ImportError, AttributeError) as error:
        raise InvalidSettings(
            f"the factory {factory} cannot be imported ({error}): it is named as package.module:callable, and its "
            "package must be installed or on PYTHONPATH"
        ) from error
    try:
        made = function(**options)
    except (TypeError, ValueError) as error:
        raise InvalidSettings(f"the factory {factory} failed with the options {sorted(options)}: {error}") from error
    if not isinstance(made, port):
        raise InvalidSettings(
            f"the factory {factory} returned {type(made).__name__}, which lacks members of winnow.ports.{port.__name__}"
        )
    return made
