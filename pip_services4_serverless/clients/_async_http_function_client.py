from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from .._context import CallContext
from .._rules.options import Options
from .._rules.response import FunctionResponse
from .._tracebacks import hide_failures
from .._wire.async_connection_pool import AsyncConnectionPool
from ._failures import WIRE_ERRORS
from ._http_function_client import HttpClient
from ._transport import RESERVED_HEADERS, Transport, pool_limits
from .async_function_client import AsyncFunctionClient

if TYPE_CHECKING:
    from typing import Unpack

    from ._identity import Identity
    from .call_options import CallOptions

__tracebackhide__ = hide_failures


class _AsyncHandle(NamedTuple):
    pool: AsyncConnectionPool
    target: str  # of the request line
    headers: Mapping[str, str]
    identity: Identity | None  # its token is sent with each attempt; a static key is in the headers


class AsyncHttpFunctionClient(HttpClient, AsyncFunctionClient):
    """The asynchronous client. It uses the wire without requests."""

    def _open_http(
        self,
        context: CallContext,
        options: Options,
        uri: str,
        key_header: str,
        key: str | None,
        identity: Identity | None = None,
    ) -> Transport:
        session, request, _ = self._prepare(context, options, uri, key_header, key, identity is not None)
        pool = AsyncConnectionPool(session.endpoint, pool_limits(options))
        headers = dict(request.headers)
        headers.pop("Content-Length", None)
        handle = _AsyncHandle(pool, session.target, headers, identity)
        session.close()
        names = {name.lower() for name in headers} | RESERVED_HEADERS
        if identity:
            names |= {"authorization"}
        return Transport(handle, uri, self._secrets(uri, key, identity), WIRE_ERRORS, names)

    def _close_transport(self, transport: Transport) -> None:
        transport.handle.pool.close()
        if transport.handle.identity is not None:
            transport.handle.identity.close()
        self._uri = None

    async def _invoke(
        self, cmd: str, context: CallContext, args: Mapping[str, Any] | None, **options: Unpack[CallOptions]
    ) -> Any:
        """Invokes the function and returns the decoded result.

        The arguments and errors are those of `FunctionClient.call`.
        """
        return await self._execute(cmd, context, args, False, options)

    async def _call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls an action and returns its decoded result.

        The arguments and errors are those of `FunctionClient.call`.
        """
        return await (self._invoke(cmd, context, params, **options) if options else self._invoke(cmd, context, params))

    async def _send(
        self, transport: Transport, payload: bytes, one_way: bool, timeout: float, headers: Mapping[str, str]
    ) -> FunctionResponse:
        pool, target, own_headers, identity = transport.handle
        if identity is not None:
            headers = dict(headers)
            timeout = await identity.authorize_async(headers, timeout)
        all_headers = {**own_headers, **headers} if headers else own_headers
        response = await pool.request("POST", target, all_headers, payload, timeout)
        result = FunctionResponse(response.status, response.headers, response.body)
        return result if identity is None else identity.check_token(result, headers["Authorization"])
