"""The base of all providers' connection parameters."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any, ClassVar, Self
from urllib.parse import SplitResult, urlsplit

from pip_services4_components.config import ConfigParams
from pip_services4_config.auth import CredentialParams
from pip_services4_config.connect import ConnectionParams

from .._context import CallContext
from .._tracebacks import hide_failures
from ._config_errors import config_error

__tracebackhide__ = hide_failures

MASK = "***"
# Secrets in a URL: a key in its query, a user name with its password.
_IN_URL = re.compile(r"(?P<code>[?&]code=)[^&#;]*|(?P<user>//)[^?#]*(?=@)", re.IGNORECASE)
# Visible ASCII: safe in a header. A line break would let the value add a header.
_HEADER_SAFE = re.compile(r"[\x21-\x7e]+\Z")
# Libraries disagree on where a host with one of these characters ends.
_NOT_IN_HOST = re.compile(r"[\\\"<>^`{|}%]")
_SECTION = re.compile(r"(connections?|credentials?)\.")


class ServerlessConnectionParams(ConfigParams):
    """Connection and credential of one function, in one flat map. Shows no secret when printed."""

    # The keys of a `connection` or a `credential` section.
    KEYS: ClassVar[frozenset[str]] = frozenset()
    # Of all providers: a section may contain the key of another provider.
    SECRETS: ClassVar[frozenset[str]] = frozenset(
        {"auth_code", "auth_token", "access_key", "client_key", "secret_key", "session_token"}
    )

    @classmethod
    def from_string(cls, line: str) -> Self:
        """Parses `key=value;key=value`."""
        return cls(ConfigParams.from_string(line))

    @classmethod
    def from_tuples(cls, *tuples: Any) -> Self:
        """Takes key, value, key, value... The keys are plain (`arn`) or those of a configuration (`connection.arn`)."""
        config = ConfigParams.from_tuples(*tuples)
        if any(_SECTION.match(key) for key in config.get_keys()):
            return cls.from_config(config)
        return cls(config)

    @classmethod
    def from_config(cls, config: ConfigParams) -> Self:
        """Merges the `connection(s)` and `credential(s)` sections of a component's configuration."""
        result = cls()
        for section in (*ConnectionParams.many_from_config(config), *CredentialParams.many_from_config(config)):
            result.append(section)
        return result

    @classmethod
    def merge_configs(cls, *configs: ConfigParams) -> Self:
        """Merges maps; later ones win."""
        return cls(ConfigParams.merge_configs(*configs))

    def get_identity(self) -> str | None:
        """`default` when keys come from the platform's identity, else None."""
        return self._first("identity")

    def set_identity(self, value: str | None) -> None:
        """Sets `default` to take keys from the platform's identity."""
        self.put("identity", value)

    def _validate_identity(self, context: CallContext, needs: str | None = None, excludes: str | None = None) -> None:
        identity = self.get_identity()
        if identity is None:
            return
        if identity != "default":
            message = f"must be default, not {identity[:20]!r}"
            raise config_error(context, "WRONG_IDENTITY", "credential.identity", message)
        if needs and not self._first(needs):
            raise config_error(context, "WRONG_IDENTITY", f"credential.{needs}", "is required when identity is set")
        if excludes and self._first(excludes):
            raise config_error(context, "WRONG_IDENTITY", "credential.identity", f"cannot be used with {excludes}")

    def secrets(self) -> tuple[str, ...]:
        """The values that must never be shown."""
        return tuple(value for key, value in self.items() if key in self.SECRETS and value)

    def _first(self, *keys: str) -> str | None:
        """The first of the keys that has a value that is not empty."""
        for key in keys:
            value: str | None = self.get_as_nullable_string(key)
            if value:
                return value
        return None

    def to_string(self) -> str:
        """The parameters as `key=value;...`, secrets masked."""
        return ";".join(f"{key}={self._shown(key, value or '')}" for key, value in self.items())

    def _shown(self, key: str, value: str) -> str:
        if key.rpartition(".")[2] in self.SECRETS and value:
            return MASK
        return _IN_URL.sub(lambda match: (match["code"] or match["user"]) + MASK, value)

    __str__ = to_string

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_string()!r})"


def check_secret(context: CallContext, code: str, key: str, value: str | None) -> None:
    """Checks that a key can be sent in a header: no white space, line break or non-ASCII character. Never shows it."""
    if value and not _HEADER_SAFE.match(value):
        raise config_error(context, code, key, "contains white space, a line break or a non-ASCII character")


def check_url(context: CallContext, key: str, url: str) -> SplitResult:
    """Checks that a URL is absolute, http or https, and has no user name or password. Returns its parts."""
    if not _HEADER_SAFE.match(url.encode("ascii", "replace").decode()):
        raise config_error(context, "WRONG_URI", key, "contains white space or a control character")
    parts = _split(url)
    if parts is None:
        raise config_error(context, "WRONG_URI", key, "is not a valid URL")
    if parts.scheme not in ("http", "https"):
        # Shown without what may be a key or a password.
        shown = "" if "@" in url else f", not {url.partition('?')[0].partition('#')[0][:80]!r}"
        raise config_error(context, "WRONG_PROTOCOL", key, f"must begin with http:// or https://{shown}")
    if not parts.hostname:
        raise config_error(context, "WRONG_URI", key, "has no host")
    if _NOT_IN_HOST.search(parts.hostname.partition("%25")[0] if ":" in parts.hostname else parts.hostname):
        raise config_error(context, "WRONG_URI", key, "has a host with an invalid character")
    if parts.username is not None or parts.password is not None:
        raise config_error(context, "WRONG_URI", key, "must not contain a user name or a password")
    return parts


def is_unencrypted(url: str) -> bool:
    """Whether a key sent to this URL crosses a network unencrypted. No name is looked up."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def _split(url: str) -> SplitResult | None:
    """The parts of a URL, or None if it is not valid. (The standard library's exceptions may quote a password.)"""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        _ = parts.port  # raises unless it is a number up to 65535
    except ValueError:
        return None
    return parts
