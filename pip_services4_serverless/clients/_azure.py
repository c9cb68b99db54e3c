from __future__ import annotations

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
        from ._identity import entra_identity

        connection = self._connection
        return entra_identity(context, connection.get_scope(), connection.get_client_id(), connection.get_auth_code())
