"""The `options.*` section of a client's configuration: the one table of its keys, and their checking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

from pip_services4_components.config import ConfigParams

from .._tracebacks import hide_failures
from ..connect._refusals import refuse

__tracebackhide__ = hide_failures

_LONGEST = 2**31 - 1  # ms, nearly 25 days; a socket takes no more


class Option(NamedTuple):
    """One key. Flags have no bounds."""

    minimum: int | None
    maximum: int | None
    meaning: str


def _number(default: int, minimum: int, maximum: int, meaning: str) -> Any:
    return field(default=default, metadata={"option": Option(minimum, maximum, meaning)})


def _flag(default: bool, meaning: str) -> Any:
    return field(default=default, metadata={"option": Option(None, None, meaning)})


@dataclass(frozen=True)
class Options:
    """The options of a client."""

    connect_timeout: int = _number(10_000, 1, _LONGEST, "ms to connect")
    timeout: int = _number(10_000, 1, _LONGEST, "ms for one attempt, connecting included, to be answered whole")
    total_timeout: int = _number(0, 0, _LONGEST, "ms for the call with all its attempts and waits; 0 is no bound")
    retries: int = _number(3, 0, 1000, "further attempts after the first")
    idempotent: bool = _flag(False, "the actions may be executed more than once")
    max_connections: int = _number(
        64, 1, 65535, "connections kept alive; calls beyond it open more and drop them after use"
    )
    idle_timeout: int = _number(60_000, 1, _LONGEST, "ms after which a pooled connection is not used again")
    tcp_keepalive: int = _number(
        45_000, 0, _LONGEST, "ms of silence before TCP keep-alive probes, and between them; 0 sends none"
    )
    prefix_commands: bool = _flag(True, "commandable clients send `name.cmd`; false sends `cmd` alone")

    def configured(self, config: ConfigParams) -> Self:
        """These options, but for what the configuration sets.

        Raises:
            ConfigException: `WRONG_OPTION`, naming the key.
        """
        values: dict[str, Any] = {name: read_option(config, name, getattr(self, name)) for name in OPTIONS}
        return type(self)(**values)


OPTIONS: Mapping[str, Option] = {each.name: each.metadata["option"] for each in fields(Options)}

_TRUE = frozenset({"true", "1", "yes", "y", "t", "on"})
_FALSE = frozenset({"false", "0", "no", "n", "f", "off"})


def read_option(config: ConfigParams, name: str, default: int) -> int:
    """The value of a key, flags as True and False; the default where it is absent or empty.

    Raises:
        ConfigException: `WRONG_OPTION`, naming the key, for a value of the wrong kind or out of bounds.
    """
    key, option = f"options.{name}", OPTIONS[name]
    text = (config.get_as_nullable_string(key) or "").strip()
    if not text:
        return default
    if option.minimum is None or option.maximum is None:
        if text.lower() not in _TRUE | _FALSE:
            refuse(None, "WRONG_OPTION", key, f"must be true or false, not {text[:20]!r}")
        return text.lower() in _TRUE
    whole = text.removesuffix(".0")  # a number of YAML or JSON may have passed as a float
    if whole.isascii() and whole.isdigit() and len(whole) <= 10 and option.minimum <= int(whole) <= option.maximum:
        return int(whole)
    bounds = f"a whole number from {option.minimum} to {option.maximum}"
    refuse(None, "WRONG_OPTION", key, f"must be {bounds}, not {text[:20]!r}")
