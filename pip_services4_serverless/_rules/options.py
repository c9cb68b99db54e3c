"""The options of a client, of one command and of one call. `Options` is the table of their names, types and bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

from pip_services4_components.config import ConfigParams

from .._tracebacks import hide_failures
from ..connect._config_errors import config_error

__tracebackhide__ = hide_failures

_MAX_TIME = 2**31 - 1  # ms, almost 25 days: sockets accept no longer timeout


class Option(NamedTuple):
    """The allowed values of one option. A flag has no bounds, and a string has a pattern."""

    minimum: int | None
    maximum: int | None
    meaning: str
    pattern: str = ""

    @property
    def allowed(self) -> str:
        """The allowed values, in words."""
        if self.pattern:
            return f"a string of the form {self.pattern}"
        return "true or false" if self.minimum is None else f"a whole number from {self.minimum} to {self.maximum}"


def _number(default: int, minimum: int, maximum: int, meaning: str) -> Any:
    return field(default=default, metadata={"option": Option(minimum, maximum, meaning)})


def _flag(default: bool, meaning: str) -> Any:
    return field(default=default, metadata={"option": Option(None, None, meaning)})


@dataclass(frozen=True)
class Options:
    """The options of a client."""

    connect_timeout: int = _number(10_000, 1, _MAX_TIME, "time to connect, in ms")
    timeout: int = _number(
        10_000, 1, _MAX_TIME, "time for one attempt, from connecting to the end of the response, in ms"
    )
    total_timeout: int = _number(
        0, 0, _MAX_TIME, "time for the whole call, with all retries and the waits between them, in ms; 0 means no limit"
    )
    retries: int = _number(3, 0, 1000, "maximum number of retries")
    idempotent: bool = _flag(False, "true allows a retry even if the function may have run already")
    max_connections: int = _number(
        64, 1, 65535, "connections that are kept open for reuse; this does not limit concurrent calls"
    )
    idle_timeout: int = _number(60_000, 1, _MAX_TIME, "time after which an idle connection is no longer reused, in ms")
    tcp_keepalive: int = _number(
        45_000, 0, _MAX_TIME, "time without traffic before each TCP keep-alive probe, in ms; 0 sends none"
    )
    prefix_commands: bool = _flag(True, "commandable clients send `name.cmd` as the command; false sends `cmd` alone")

    def configured(self, config: ConfigParams) -> Self:
        """A copy of these options with the values that the configuration sets.

        Raises:
            ConfigException: `WRONG_OPTION`, naming the key.
        """
        values: dict[str, Any] = {name: read_option(config, name, getattr(self, name)) for name in OPTIONS}
        return type(self)(**values)


OPTIONS: Mapping[str, Option] = {each.name: each.metadata["option"] for each in fields(Options)}
# The options that can also be set for one command (`options.commands.<cmd>.*`) and for one call (by keyword).
CALL_OPTIONS: Mapping[str, Option] = {
    name: OPTIONS[name] for name in ("timeout", "total_timeout", "retries", "idempotent")
}
# Further options of one call, for providers that support tenants.
TENANT_OPTIONS: Mapping[str, Option] = {
    "tenant_id": Option(
        None, None, "tenant ID, for a Lambda function with tenant isolation", "[a-zA-Z0-9._:/=+@ -]{1,256}"
    )
}
COMMANDS = "options.commands."

_TRUE = frozenset({"true", "1", "yes", "y", "t", "on"})
_FALSE = frozenset({"false", "0", "no", "n", "f", "off"})


def read_option(config: ConfigParams, name: str, default: int) -> int:
    """The value of an option, or the default if the configuration has no value or an empty one.

    Raises:
        ConfigException: `WRONG_OPTION`, naming the key: the value has the wrong type or is out of bounds.
    """
    value = _read(config, f"options.{name}", OPTIONS[name])
    return default if value is None else value


def read_commands(config: ConfigParams) -> dict[str, dict[str, int]]:
    """The options of single commands (`options.commands.<cmd>.<option>`), by command. A command may contain dots.

    Raises:
        ConfigException: `WRONG_OPTION`, naming the key.
    """
    commands: dict[str, dict[str, int]] = {}
    for key in config.get_keys():
        cmd, _, name = key.removeprefix(COMMANDS).rpartition(".")
        if key.startswith(COMMANDS) and cmd and name in CALL_OPTIONS:
            value = _read(config, key, CALL_OPTIONS[name])
            if value is not None:
                commands.setdefault(cmd, {})[name] = value
    return commands


def wrong_call_option(options: Mapping[str, object], known: Mapping[str, Option]) -> tuple[str, str] | None:
    """The name of the first wrong option, and what is wrong with it; None if all are right."""
    for name, value in options.items():
        option = known.get(name)
        if option is None:
            return name, f"does not exist; the options of a call are {', '.join(known)}"
        if option.pattern:
            is_valid = isinstance(value, str) and re.fullmatch(option.pattern, value) is not None
        elif option.minimum is None or option.maximum is None:
            is_valid = isinstance(value, bool)
        else:
            is_valid = type(value) is int and option.minimum <= value <= option.maximum
        if not is_valid:
            # The message shows only short numbers, because Python refuses to print thousands of digits.
            is_short = isinstance(value, str | float | None) or (isinstance(value, int) and abs(value) < 10**12)
            return name, f"must be {option.allowed}, not {repr(value)[:20] if is_short else type(value).__name__}"
    return None


def _read(config: ConfigParams, key: str, option: Option) -> int | None:
    """The value of a key, or None if it is missing or empty. The value of a flag is True or False."""
    text = (config.get_as_nullable_string(key) or "").strip()
    if not text:
        return None
    if option.minimum is None or option.maximum is None:
        if text.lower() not in _TRUE | _FALSE:
            raise config_error(None, "WRONG_OPTION", key, f"must be {option.allowed}, not {text[:20]!r}")
        return text.lower() in _TRUE
    number = text.removesuffix(".0")  # a number in YAML or JSON may have been read as a float
    if number.isascii() and number.isdigit() and len(number) <= 10 and option.minimum <= int(number) <= option.maximum:
        return int(number)
    raise config_error(None, "WRONG_OPTION", key, f"must be {option.allowed}, not {text[:20]!r}")
