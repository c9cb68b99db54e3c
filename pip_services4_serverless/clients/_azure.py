from __future__ import annotations

from .._context import CallContext
from .._rules.options import Options
from ..connect import AzureConnectionParams, AzureConnectionResolver
from ._http_function_client import HttpClient
from ._transport import Transport


class AzureFunction(HttpClient):
    """What the blocking and the asynchronous client of an Azure Function share."""

    _MAX_PAYLOAD = 100 * 1024 * 1024  # the front end's limit
    _LONGEST_REQUEST = 230_000  # its load balancer's idle timeout

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._connection = AzureConnectionParams()
        self._connection_resolver = AzureConnectionResolver()

    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        uri, key = self._connection.get_function_uri(), self._connection.get_auth_code()
        return self._open_http(context, options, uri, "x-functions-key", key)
