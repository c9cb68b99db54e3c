from __future__ import annotations

import re

from .._context import CallContext
from .._tracebacks import hide_failures
from ._config_errors import config_error
from ._connection_params import ServerlessConnectionParams, check_secret, check_url

__tracebackhide__ = hide_failures

# A part of the host name or the path. It has no character with which the token could be sent to another host.
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\Z")
# `us-central1-my-project`: both parts may contain hyphens. A region in another form than Google's contains none.
_HOST = re.compile(r"(?P<region>[a-z]+-[a-z]+\d+|[^.-]+)-(?P<project_id>[^.]+)\.cloudfunctions\.net\Z")


class GcpConnectionParams(ServerlessConnectionParams):
    """The address of a Google Cloud Function, and the credential to call it with.

    Configuration parameters:

    - `uri`: the function's whole URL, as Google shows it: `https://region-project_id.cloudfunctions.net/function` or
      `https://function-....run.app`
    - `protocol` (`https`), `project_id`, `region`, `function`: if `uri` is missing, the URL is
      `protocol://region-project_id.cloudfunctions.net/function`
    - `auth_token`: an ID token, sent as `Authorization: Bearer`; if it is missing or empty, no token is sent
    - `identity`: `default` sends an ID token of the platform's identity instead
    - `audience`: the audience of that token; by default the function's URL
    - `org_id`, `account`: can be read by subclasses; the clients do not use them

    ```python
    params = GcpConnectionParams.from_tuples(
        "region", "europe-west1", "project_id", "my-shop", "function", "orders", "auth_token", "T")
    params.normalize()
    assert params.get_uri() == "https://europe-west1-my-shop.cloudfunctions.net/orders"
    assert "auth_token=***" in str(params)
    ```
    """

    KEYS = frozenset(
        {"uri", "protocol", "project_id", "region", "function", "org_id", "account"}
        | {"auth_token", "identity", "audience"}
    )

    def get_uri(self) -> str | None:
        """The function's URL."""
        return self._first("uri")

    def set_uri(self, value: str | None) -> None:
        """Sets the function's URL."""
        self.put("uri", value)

    def get_protocol(self) -> str | None:
        """`http` or `https`."""
        return self._first("protocol")

    def set_protocol(self, value: str | None) -> None:
        """Sets `http` or `https`."""
        self.put("protocol", value)

    def get_project_id(self) -> str | None:
        """The ID of the Google Cloud project."""
        return self._first("project_id")

    def set_project_id(self, value: str | None) -> None:
        """Sets the ID of the Google Cloud project."""
        self.put("project_id", value)

    def get_region(self) -> str | None:
        """The region that the function is deployed in, for example `europe-west1`."""
        return self._first("region")

    def set_region(self, value: str | None) -> None:
        """Sets the region that the function is deployed in."""
        self.put("region", value)

    def get_function(self) -> str | None:
        """The function's name."""
        return self._first("function")

    def set_function(self, value: str | None) -> None:
        """Sets the function's name."""
        self.put("function", value)

    def get_org_id(self) -> str | None:
        """The ID of the organization."""
        return self._first("org_id")

    def set_org_id(self, value: str | None) -> None:
        """Sets the ID of the organization."""
        self.put("org_id", value)

    def get_account(self) -> str | None:
        """The name of the service account."""
        return self._first("account")

    def set_account(self, value: str | None) -> None:
        """Sets the name of the service account."""
        self.put("account", value)

    def get_auth_token(self) -> str | None:
        """The ID token, or None if no static token is sent."""
        return self._first("auth_token")

    def set_auth_token(self, value: str | None) -> None:
        """Sets the ID token."""
        self.put("auth_token", value)

    def get_audience(self) -> str | None:
        """The audience of the identity's ID tokens, or None for the function's URL."""
        return self._first("audience")

    def set_audience(self, value: str | None) -> None:
        """Sets the audience of the identity's ID tokens."""
        self.put("audience", value)

    def validate(self, context: CallContext = None) -> None:
        """Checks the parameters.

        Raises:
            ConfigException: `NO_CONNECTION`, `WRONG_PROTOCOL`, `WRONG_URI`, `WRONG_AUTH_CODE` or `WRONG_IDENTITY`. The
                message names the key.
        """
        self._validate_protocol(context)
        uri = self.get_uri()
        if uri is not None:
            check_url(context, "connection.uri", uri)
        else:
            self._validate_names(context)
        check_secret(context, "WRONG_AUTH_CODE", "credential.auth_token", self.get_auth_token())
        self._validate_identity(context, forbidden="auth_token")

    def _validate_names(self, context: CallContext) -> None:
        names = {key: self._first(key) for key in ("project_id", "region", "function")}
        if not any(names.values()):
            message = "is missing; set it or project_id, region and function"
            raise config_error(context, "NO_CONNECTION", "connection.uri", message)
        for key, name in names.items():
            if name is None:
                message = "is missing; set it or connection.uri"
                raise config_error(context, "NO_CONNECTION", f"connection.{key}", message)
            if not _NAME.match(name):
                message = f"{name[:80]!r} cannot be part of the function's URL"
                raise config_error(context, "WRONG_URI", f"connection.{key}", message)

    def normalize(self, context: CallContext = None) -> None:
        """Checks the parameters. Sets the URL from its parts, or the parts from the URL.

        Raises:
            ConfigException: the same as in `validate`.
        """
        self.validate(context)
        host = f"{self.get_region()}-{self.get_project_id()}.cloudfunctions.net"
        uri = self.get_uri() or f"{self.get_protocol() or 'https'}://{host}/{self.get_function()}"
        parts = check_url(context, "connection.uri", uri)
        self.set_uri(parts._replace(fragment="").geturl())
        self.set_protocol(parts.scheme)
        if found := _HOST.match(parts.hostname or ""):
            self.set_region(found["region"])
            self.set_project_id(found["project_id"])
            self.set_function(parts.path.strip("/"))
