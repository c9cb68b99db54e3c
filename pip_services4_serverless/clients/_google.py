from __future__ import annotations

from datetime import UTC
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from .._context import CallContext
from .._rules.errors import Target
from .._rules.options import Options
from .._tracebacks import hide_failures
from ._http_function_client import HttpClient
from ._transport import Transport

if TYPE_CHECKING:
    from ._identity import Identity

__tracebackhide__ = hide_failures

# The loggers of google-auth.
_LOGGERS = (
    *(f"google.auth.{name}" for name in ("_default", "compute_engine._metadata", "compute_engine.credentials")),
    *(f"google.auth.{name}" for name in ("impersonated_credentials", "transport.requests")),
    *(f"google.oauth2.{name}" for name in ("_client", "service_account")),
)


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
            identity = _google_identity(context, self._connection.get_audience() or uri.partition("?")[0])
            return self._open_http(context, options, uri, "", None, identity)
        transport = self._open_http(context, options, uri, "Authorization", token and f"Bearer {token}")
        # Without "Bearer": the token alone is the secret.
        return transport._replace(secrets=self._secrets(uri, token))


def _google_identity(context: CallContext, audience: str) -> Identity:
    """The identity of Google Cloud. This function makes no connection.

    Args:
        context: for errors.
        audience: the audience of the ID tokens: the function's URL, or a custom audience.

    Raises:
        ConfigException: `NO_CREDENTIALS`: the library is not installed, or cannot be used.
    """
    from ._identity import Identity, raise_unusable  # imported late: only clients with an identity need it

    try:
        import google.oauth2.id_token
        import requests
        from google.auth.transport.requests import Request

        # google-auth imports these on first use. A fork during an import in another thread would leave an import lock
        # locked in the child.
        for name in ("google.auth.compute_engine", "google.oauth2.service_account"):
            import_module(name)
    except Exception as err:
        raise_unusable(context, "google-auth", "google", err)

    id_token: Any = google.oauth2.id_token  # it has no type annotations

    def fetch() -> tuple[str, float]:
        with requests.Session() as session:
            request = Request(session)
            credentials = id_token.fetch_id_token_credentials(audience, request)
            credentials.refresh(request)
        return credentials.token, credentials.expiry.replace(tzinfo=UTC).timestamp()

    return Identity("google-auth", fetch, loggers=_LOGGERS)
