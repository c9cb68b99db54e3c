from __future__ import annotations

from typing import Any, Self

from .._context import CallContext
from .._rules.errors import Target
from .._rules.options import Options
from .._tracebacks import hide_failures
from ._http_function_client import HttpClient
from ._transport import Transport

__tracebackhide__ = hide_failures


class CloudFunction(HttpClient):
    """What the blocking and the asynchronous client of a Google Cloud Function share."""

    _MAX_PAYLOAD = 32 * 1024 * 1024  # bytes, for functions of the second generation
    _MAX_REQUEST_TIME = 3_600_000  # ms, for functions of the second generation
    _timeout = 60000  # ms, the default timeout of a function

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        # Imported late: this is a tenth of the time to import the client.
        from ..connect import GcpConnectionParams, GcpConnectionResolver

        self._keys = GcpConnectionParams.KEYS
        self._connection = GcpConnectionParams()
        self._connection_resolver = GcpConnectionResolver()

    @classmethod
    def from_uri(cls, uri: str, auth_token: str | None = None, *, name: str | None = None, **options: Any) -> Self:
        """Makes a client without a container or a subclass. The client is configured, but not open.

        Args:
            uri: the function's URL.
            auth_token: an ID token for the function, or None.
            name: the service's name, for commandable clients.
            options: the options of the configuration, for example `timeout=5000` (ms).

        Raises:
            ConfigException: `WRONG_OPTION`. Other errors of the configuration are raised by `open`.

        ```python
        client = CloudFunctionClient.from_uri("http://localhost:8080/", timeout=5000)
        assert not client.is_open()
        ```
        """
        return cls._configured(name, {"connection.uri": uri, "credential.auth_token": auth_token}, options)

    def _target(self) -> Target:
        url = (self._connection.get_uri() or "").partition("?")[0]
        token = "its" if self._connection.get_auth_token() else "no"
        token = "an" if self._connection.get_identity() else token
        return Target(type(self).__name__, "url", url, f"{token} ID token was sent")

    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        uri, token = self._connection.get_uri(), self._connection.get_auth_token()
        if self._connection.get_identity():
            from ._identity import google_identity

            identity = google_identity(context, self._connection.get_audience() or uri.partition("?")[0])
            return self._open_http(context, options, uri, "", None, identity)
        from ._log_filter import mask_key_in_logs  # imported late, together with `logging`

        transport = self._open_http(context, options, uri, "Authorization", token and f"Bearer {token}")
        return transport._replace(secrets=mask_key_in_logs(token))  # without "Bearer": the token alone is the secret
