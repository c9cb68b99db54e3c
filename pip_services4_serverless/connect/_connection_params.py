"""The base of the connection parameters of all providers."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Any, ClassVar, Self
from urllib.parse import SplitResult, unquote, urlsplit

from pip_services4_components.config import ConfigParams
from pip_services4_config.auth import CredentialParams
from pip_services4_config.connect import ConnectionParams

from .._context import CallContext
from .._rules.secrets import MASK
from .._tracebacks import hide_failures
from ._config_errors import config_error

__tracebackhide__ = hide_failures

# Secrets in a URL: values in the query whose names say so, as `code` and `subscription-key`, and a user's password.
_IN_URL = re.compile(
    r"(?P<name>[?&](?:code|sig|[^=&#;]*(?:key|token|secret|password|signature))=)(?P<value>[^&#;]*)"
    r"|(?P<user>//)[^?#]*(?=@)",
    re.IGNORECASE,
)
# Parts of the names of secrets. A misspelled name is shown, but not its value.
_SECRET_NAME = re.compile(r"auth|code|key|token|secret|pass", re.IGNORECASE)
_NOT_SECRET = frozenset({"discovery_key", "store_key"})
# Printable ASCII without spaces. A line break in a header would add another header to the request.
HEADER_SAFE = re.compile(r"[\x21-\x7e]+\Z")
# Libraries disagree on where a host with one of these characters ends.
_NOT_IN_HOST = re.compile(r"[\\\"<>^`{|}%]")
_SECTIONS = ("connection.", "connections.", "credential.", "credentials.")


class ServerlessConnectionParams(ConfigParams):
    """The connection and the credential of one function, in one flat map. Its string form masks the secrets."""

    # The keys that are allowed in a `connection` or a `credential` section.
    KEYS: ClassVar[frozenset[str]] = frozenset()
    # The keys with secret values, of all providers: a section may contain a key of another provider.
    SECRETS: ClassVar[frozenset[str]] = frozenset(
        {"auth_code", "auth_token", "access_key", "client_key", "secret_key", "session_token"}
    )

    @classmethod
    def from_string(cls, line: str) -> Self:
        """Parses `key=value;key=value`."""
        return cls(ConfigParams.from_string(line))

    @classmethod
    def from_tuples(cls, *tuples: Any) -> Self:
        """Takes keys and values in turn. The keys are plain (`arn`) or those of a configuration (`connection.arn`)."""
        config = ConfigParams.from_tuples(*tuples)
        if any(key.startswith(_SECTIONS) for key in config.get_keys()):
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
        """Merges maps. A value in a later map replaces the value of the same key in an earlier one."""
        return cls(ConfigParams.merge_configs(*configs))

    def get_identity(self) -> str | None:
        """`default` if the credential comes from the platform's identity, else None."""
        return self._first("identity")

    def set_identity(self, value: str | None) -> None:
        """Sets `default` to use the platform's identity, or None."""
        self.put("identity", value)

    def _validate_protocol(self, context: CallContext) -> None:
        protocol = self._first("protocol")
        if protocol is not None and protocol not in ("http", "https"):
            message = f"must be http or https, not {protocol[:20]!r}"
            raise config_error(context, "WRONG_PROTOCOL", "connection.protocol", message)

    def _validate_identity(
        self, context: CallContext, required: str | None = None, forbidden: str | None = None
    ) -> None:
        """Checks `identity`, and a key that it requires or forbids."""
        identity = self.get_identity()
        if identity is None:
            return
        if identity != "default":
            message = f"must be default, not {identity[:20]!r}"
            raise config_error(context, "WRONG_IDENTITY", "credential.identity", message)
        if required and not self._first(required):
            raise config_error(context, "WRONG_IDENTITY", f"credential.{required}", "is required when identity is set")
        if forbidden and self._first(forbidden):
            raise config_error(context, "WRONG_IDENTITY", "credential.identity", f"cannot be used with {forbidden}")

    def secrets(self) -> tuple[str, ...]:
        """The secret values that are set."""
        return tuple(value for key, value in self.items() if key in self.SECRETS and value)

    def _first(self, *keys: str) -> str | None:
        """The value of the first key whose value is not empty, or None."""
        for key in keys:
            value: str | None = self.get_as_nullable_string(key)
            if value:
                return value
        return None

    def to_string(self) -> str:
        """The parameters as `key=value;...`, secrets masked."""
        return ";".join(f"{key}={self._mask_value(key, value or '')}" for key, value in self.items())

    def _mask_value(self, key: str, value: str) -> str:
        name = key.rpartition(".")[2]
        if value and (name in self.SECRETS or (_SECRET_NAME.search(name) and name not in _NOT_SECRET)):
            return MASK
        return _IN_URL.sub(lambda match: (match["name"] or match["user"]) + MASK, value)

    __str__ = to_string

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_string()!r})"


def check_secret(context: CallContext, code: str, key: str, value: str | None) -> None:
    """Checks that a secret can be sent in a header. The error does not contain the secret.

    Raises:
        ConfigException: `code`, if the value contains white space, a line break or a non-ASCII character.
    """
    if value and not HEADER_SAFE.match(value):
        raise config_error(context, code, key, "contains white space, a line break or a non-ASCII character")


def check_url(context: CallContext, key: str, url: str) -> SplitResult:
    """Checks that a URL is absolute, uses http or https, and has no user name or password. Returns its parts.

    Raises:
        ConfigException: `WRONG_URI` or `WRONG_PROTOCOL`.
    """
    if not HEADER_SAFE.match(url.encode("ascii", "replace").decode()):
        raise config_error(context, "WRONG_URI", key, "contains white space or a control character")
    parts = _split_url(url)
    if parts is None:
        raise config_error(context, "WRONG_URI", key, "is not a valid URL")
    if parts.scheme not in ("http", "https"):
        # The message must not contain the query, which may have a key, or a password, which comes before an `@`.
        found = "" if "@" in url else f", not {url.partition('?')[0].partition('#')[0][:80]!r}"
        raise config_error(context, "WRONG_PROTOCOL", key, f"must begin with http:// or https://{found}")
    if not parts.hostname:
        raise config_error(context, "WRONG_URI", key, "has no host")
    if _NOT_IN_HOST.search(parts.hostname.partition("%25")[0] if ":" in parts.hostname else parts.hostname):
        raise config_error(context, "WRONG_URI", key, "has a host with an invalid character")
    if parts.username is not None or parts.password is not None:
        raise config_error(context, "WRONG_URI", key, "must not contain a user name or a password")
    return parts


def secrets_in_query(url: str) -> tuple[str, ...]:
    """The secrets in the query of a URL, decoded: the values whose names say so."""
    return tuple(unquote(match["value"]) for match in _IN_URL.finditer(url) if match["value"])


def is_unencrypted(url: str) -> bool:
    """Whether a key that is sent to this URL crosses a network without encryption. The host name is not resolved."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "http" or host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return True


def _split_url(url: str) -> SplitResult | None:
    """The parts of a URL, or None if it is not valid. It does not raise, because an exception may quote a password."""
    try:
        parts = urlsplit(url)
        (parts.hostname or "").encode("idna")
        port = parts.port  # raises ValueError unless it is a number up to 65535
    except ValueError:
        return None
    return None if port == 0 else parts
