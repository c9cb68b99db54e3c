from __future__ import annotations

import re
from urllib.parse import quote, unquote

from .._context import CallContext
from .._tracebacks import hide_failures
from ._config_errors import config_error
from ._connection_params import ServerlessConnectionParams, check_secret, check_url

__tracebackhide__ = hide_failures

_APP_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,58}[A-Za-z0-9])?"


class AzureConnectionParams(ServerlessConnectionParams):
    """The address of an Azure Function, and the credential to call it with.

    Configuration parameters:

    - `uri`: the function's whole URL; a key in it (`?code=`) is moved to `auth_code`
    - `protocol` (`https`), `app_name`, `function_name`: if `uri` is missing, the URL is
      `protocol://app_name.azurewebsites.net/api/function_name`
    - `auth_code`: a function key, host key or master key; if it is missing or empty, no key is sent
    - `identity`: `default` sends a token of the platform's identity, in addition to the key if there is one
    - `scope`: the scope of that token, for example `api://<application ID>/.default`
    - `client_id`: the client ID of a user-assigned identity

    ```python
    url = "https://shop.azurewebsites.net/api/orders?code=K"
    params = AzureConnectionParams.from_tuples("uri", url)
    params.normalize()
    assert params.get_function_uri() == "https://shop.azurewebsites.net/api/orders"
    assert params.get_auth_code() == "K"
    ```
    """

    KEYS = frozenset({"uri", "protocol", "app_name", "function_name", "auth_code", "identity", "scope", "client_id"})

    def get_protocol(self) -> str | None:
        """`http` or `https`."""
        return self._first("protocol")

    def set_protocol(self, value: str | None) -> None:
        """Sets `http` or `https`."""
        self.put("protocol", value)

    def get_function_uri(self) -> str | None:
        """The function's URL."""
        return self._first("uri")

    def set_function_uri(self, value: str | None) -> None:
        """Sets the function's URL."""
        self.put("uri", value)

    def get_app_name(self) -> str | None:
        """The function app's name: the first part of its host."""
        return self._first("app_name")

    def set_app_name(self, value: str | None) -> None:
        """Sets the function app's name."""
        self.put("app_name", value)

    def get_function_name(self) -> str | None:
        """The function's name, or its route."""
        return self._first("function_name")

    def set_function_name(self, value: str | None) -> None:
        """Sets the function's name, or its route."""
        self.put("function_name", value)

    def get_auth_code(self) -> str | None:
        """The key, or None if no key is sent."""
        return self._first("auth_code")

    def set_auth_code(self, value: str | None) -> None:
        """Sets the key."""
        self.put("auth_code", value)

    def get_scope(self) -> str | None:
        """The scope of the identity's tokens, for example `api://<application ID>/.default`."""
        return self._first("scope")

    def set_scope(self, value: str | None) -> None:
        """Sets the scope of the identity's tokens."""
        self.put("scope", value)

    def get_client_id(self) -> str | None:
        """The client ID of a user-assigned identity, or None."""
        return self._first("client_id")

    def set_client_id(self, value: str | None) -> None:
        """Sets the client ID of a user-assigned identity."""
        self.put("client_id", value)

    def validate(self, context: CallContext = None) -> None:
        """Checks the parameters.

        Raises:
            ConfigException: `NO_CONNECTION`, `WRONG_PROTOCOL`, `WRONG_URI`, `WRONG_AUTH_CODE` or `WRONG_IDENTITY`. The
                message names the key.
        """
        self._validate_protocol(context)
        uri = self.get_function_uri()
        if uri is not None:
            check_url(context, "connection.uri", uri)
        else:
            self._validate_names(context)
        check_secret(context, "WRONG_AUTH_CODE", "credential.auth_code", self.get_auth_code())
        self._validate_identity(context, required="scope")

    def _validate_names(self, context: CallContext) -> None:
        app_name, function_name = self.get_app_name(), self.get_function_name()
        if app_name is None and function_name is None:
            raise config_error(
                context, "NO_CONNECTION", "connection.uri", "is missing; set it or app_name and function_name"
            )
        if app_name is None:
            raise config_error(context, "NO_CONNECTION", "connection.app_name", "is required when function_name is set")
        if function_name is None:
            raise config_error(context, "NO_CONNECTION", "connection.function_name", "is required when app_name is set")
        if not re.fullmatch(_APP_NAME, app_name):
            message = f"{app_name[:80]!r} is not the name of a function app"
            raise config_error(context, "WRONG_URI", "connection.app_name", message)
        if not function_name.isprintable():
            message = "contains a character that a URL cannot have"
            raise config_error(context, "WRONG_URI", "connection.function_name", message)
        # Libraries and servers resolve these segments, and the URL would then point to a place outside of /api/.
        if not {".", ".."}.isdisjoint(re.split(r"[/\\]", _unquote_fully(function_name))):
            raise config_error(context, "WRONG_URI", "connection.function_name", "must not have the segments . or ..")

    def normalize(self, context: CallContext = None) -> None:
        """Checks the parameters. Sets the URL from its parts or the parts from the URL, and moves a key out of the URL.

        Raises:
            ConfigException: the same as in `validate`.
        """
        self.validate(context)
        uri = self.get_function_uri()
        if uri is None:
            name = quote((self.get_function_name() or "").strip("/"), safe="/-_.~")
            uri = f"{self.get_protocol() or 'https'}://{self.get_app_name()}.azurewebsites.net/api/{name}"
        parts = check_url(context, "connection.uri", uri)
        query = [pair for pair in parts.query.split("&") if pair]
        # ASP.NET compares query names case-insensitively. A '+' is not decoded to a space: a key contains no spaces.
        named = [(unquote(pair.partition("=")[0]).lower(), pair) for pair in query]
        codes = [code for name, pair in named if name == "code" and (code := unquote(pair.partition("=")[2]))]
        rest = "&".join(pair for name, pair in named if name != "code")
        if self.get_auth_code() is None and codes:
            self.set_auth_code(codes[0])
            check_secret(context, "WRONG_AUTH_CODE", "connection.uri (code)", codes[0])
        self.set_function_uri(parts._replace(query=rest, fragment="").geturl())
        self.set_protocol(parts.scheme)
        self.set_app_name((parts.hostname or "").removesuffix(".azurewebsites.net"))
        self.set_function_name(parts.path.removeprefix("/api/").strip("/"))


def _unquote_fully(name: str) -> str:
    """Decodes percent-encoding, even if the name was encoded several times."""
    while (plain := unquote(name)) != name:
        name = plain
    return name
