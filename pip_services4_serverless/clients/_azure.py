from __future__ import annotations

import os
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

# The loggers of azure-identity and the libraries that it uses.
_LOGGERS = (
    *(f"azure.identity._credentials.{name}" for name in ("azure_cli", "azd_cli", "azure_powershell", "chained")),
    *(f"azure.identity._credentials.{name}" for name in ("default", "environment", "managed_identity")),
    *(f"azure.identity._internal.{name}" for name in ("decorators", "get_token_mixin", "managed_identity_client")),
    "azure.identity._internal.msal_managed_identity_client",
    *(f"azure.core.pipeline.policies.{name}" for name in ("http_logging_policy", "_retry", "_universal")),
    *(f"msal.{name}" for name in ("application", "cloudshell", "managed_identity", "oauth2cli.oauth2", "token_cache")),
)
# Environment variables with the secrets that azure-identity uses to get tokens.
_SECRET_VARIABLES = ("AZURE_CLIENT_SECRET", "AZURE_PASSWORD", "IDENTITY_HEADER")


class AzureFunction(HttpClient):
    """What the blocking and the asynchronous client of an Azure Function share."""

    _MAX_PAYLOAD = 100 * 1024 * 1024  # bytes, the limit of the front end
    _MAX_REQUEST_TIME = 230_000  # ms, the idle timeout of the load balancer

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        # Imported late: this is a tenth of the time to import the client.
        from ..connect import AzureConnectionParams, AzureConnectionResolver

        self._keys = AzureConnectionParams.KEYS
        self._connection = AzureConnectionParams()
        self._connection_resolver = AzureConnectionResolver()

    @classmethod
    def from_uri(cls, uri: str, auth_code: str | None = None, *, name: str | None = None, **options: Any) -> Self:
        """Makes a client without a container or a subclass. The client is configured, but not open.

        Args:
            uri: the function's URL; it may contain a key (`?code=`).
            auth_code: the function's key, or None.
            name: the service's name, for commandable clients.
            options: the options of the configuration, for example `timeout=5000` (ms).

        Raises:
            ConfigException: `WRONG_OPTION`. Other errors of the configuration are raised by `open`.

        ```python
        client = AzureFunctionClient.from_uri("http://localhost:7071/api/orders", timeout=5000)
        assert not client.is_open()
        ```
        """
        return cls._configured(name, {"connection.uri": uri, "credential.auth_code": auth_code}, options)

    def _target(self) -> Target:
        url = (self._connection.get_function_uri() or "").partition("?")[0]
        sent = ["its key was sent as x-functions-key"] if self._connection.get_auth_code() else []
        if self._connection.get_identity():
            sent.append("a token of its identity was sent")
        return Target(type(self).__name__, "url", url, ", and ".join(sent) or "no key was sent")

    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        uri, key = self._connection.get_function_uri(), self._connection.get_auth_code()
        return self._open_http(context, options, uri, "x-functions-key", key, self._identity(context))

    def _identity(self, context: CallContext) -> Identity | None:
        if not self._connection.get_identity():
            return None
        connection = self._connection
        return _entra_identity(context, connection.get_scope(), connection.get_client_id(), connection.get_auth_code())


def _entra_identity(context: CallContext, scope: str, client_id: str | None, key: str | None) -> Identity:
    """The identity of Microsoft Entra. This function makes no connection.

    Args:
        context: for errors.
        scope: the scope of the tokens, for example `api://<application ID>/.default`.
        client_id: the client ID of a user-assigned identity, or None to use the environment variable `AZURE_CLIENT_ID`.
        key: the function's key if it is sent too, or None.

    Raises:
        ConfigException: `NO_CREDENTIALS`: the library is not installed, or cannot be used.
    """
    from ._identity import Identity, raise_unusable  # imported late: only clients with an identity need it

    settings = {"managed_identity_client_id": client_id} if client_id else {}
    try:
        from azure.identity import DefaultAzureCredential

        # This also imports all modules that the threads need: a fork during an import in another thread would leave an
        # import lock locked in the child.
        DefaultAzureCredential(**settings).close()
    except Exception as err:
        raise_unusable(context, "azure-identity", "entra", err)

    def fetch() -> tuple[str, float]:
        # A new credential each time: the same one would return a rejected token from its cache, and has locks that a
        # fork could leave locked.
        with DefaultAzureCredential(**settings) as credential:
            token = credential.get_token(scope)
        return token.token, token.expires_on

    return Identity("azure-identity", fetch, (key, *map(os.environ.get, _SECRET_VARIABLES)), _LOGGERS)
