from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlsplit

from .. import __version__
from .._context import CallContext
from .._rules.options import Options
from .._rules.response import FunctionResponse
from .._tracebacks import hide_failures
from .._wire.async_connection_pool import AsyncConnectionPool
from ._lambda import LambdaFunction
from ._transport import RESERVED_HEADERS, Transport, pool_limits
from .async_function_client import AsyncFunctionClient

if TYPE_CHECKING:
    from typing import Unpack

    from .lambda_call_options import LambdaCallOptions

__tracebackhide__ = hide_failures

_HEADERS = {
    "User-Agent": f"pip-services4-serverless/{__version__}",
    "Accept-Encoding": "identity",
}
_SIGNATURE_HEADERS = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})
_INVOKE_HEADERS = frozenset({"x-amz-invocation-type", "x-amz-tenant-id"})


class _Handle(NamedTuple):
    client: Any  # of boto3; it found the endpoint, the region and the keys
    pool: AsyncConnectionPool
    target: str  # of the request line
    url: str
    signer: Any
    interpret: Any  # `function_response`, which is imported late
    headers: Mapping[str, str] = {}  # of one call; they are signed, too


class AsyncLambdaClient(LambdaFunction, AsyncFunctionClient):
    """Calls an AWS Lambda function from asyncio. The configuration is that of `LambdaClient`.

    Each attempt is one signed POST request. boto3 is only used by `open`, to find the endpoint and the keys.

    ```python
    class OrdersClient(AsyncLambdaClient):
        async def get_order(self, context, order_id):
            return await self._call("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    client.configure(ConfigParams.from_tuples(
        "connection.arn", "arn:aws:lambda:eu-west-1:123456789012:function:orders",
        "credential.access_id", "ID", "credential.access_key", "KEY"))
    ```
    """

    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        from ._failures import botocore_errors
        from ._lambda_session import function_response, open_lambda

        opened = open_lambda(context, self._connection, options)
        self._lambda = opened.client
        function = quote(self._connection.get_arn(), safe="-._~")
        url = f"{opened.client.meta.endpoint_url.rstrip('/')}/2015-03-31/functions/{function}/invocations"
        target = url if opened.endpoint.sends_whole_url else urlsplit(url).path
        pool = AsyncConnectionPool(opened.endpoint, pool_limits(options))
        handle = _Handle(opened.client, pool, target, url, opened.signer, function_response)
        names = RESERVED_HEADERS | _SIGNATURE_HEADERS | _INVOKE_HEADERS | {name.lower() for name in _HEADERS}
        return Transport(handle, url, opened.secrets, botocore_errors(), names)

    def _close_transport(self, transport: Transport) -> None:
        transport.handle.pool.close()
        transport.handle.client.close()
        self._lambda = None

    def _transport_for(self, transport: Transport, options: Mapping[str, Any], trace_id: str) -> Transport:
        if "tenant_id" not in options:
            return transport
        headers = {"X-Amz-Tenant-Id": options["tenant_id"]}
        return transport._replace(handle=transport.handle._replace(headers=headers))

    async def _send(
        self, transport: Transport, payload: bytes, one_way: bool, timeout: float, headers: Mapping[str, str]
    ) -> FunctionResponse:
        _, pool, target, url, signer, interpret, call_headers = transport.handle
        deadline = asyncio.get_running_loop().time() + timeout
        secrets = signer.secrets
        keys = await _renew_keys(secrets, deadline) if secrets.need_renewal() else secrets.get_keys()
        signed = {"X-Amz-Invocation-Type": "Event" if one_way else "RequestResponse", **call_headers, **headers}
        signer.sign("POST", url, signed, payload, keys)
        left = deadline - asyncio.get_running_loop().time()
        response = await pool.request("POST", target, {**_HEADERS, **signed}, payload, left)
        result: FunctionResponse = interpret(response, one_way, secrets)
        return result

    if TYPE_CHECKING:

        async def call(
            self,
            cmd: str,
            context: CallContext = None,
            params: Mapping[str, Any] | None = None,
            **options: Unpack[LambdaCallOptions],
        ) -> Any: ...

    async def _invoke(
        self,
        invocation_type: str,
        cmd: str,
        context: CallContext,
        args: Mapping[str, Any] | None,
        **options: Unpack[LambdaCallOptions],
    ) -> Any:
        """Invokes the function.

        The arguments and errors are those of `FunctionClient.call`, except for these:

        Args:
            invocation_type: `RequestResponse` waits for the result and returns it. `Event` returns None as soon as
                Lambda has accepted the call.

        Raises:
            BadRequestException: `WRONG_INVOCATION_TYPE`: it is another type.
        """
        return await self._execute(cmd, context, args, self._is_one_way(invocation_type, context), options)

    async def _call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[LambdaCallOptions],
    ) -> Any:
        """Calls an action and returns its decoded result.

        The arguments and errors are those of `FunctionClient.call`.
        """
        if options:
            return await self._invoke("RequestResponse", cmd, context, params, **options)
        return await self._invoke("RequestResponse", cmd, context, params)

    async def call_one_way(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[LambdaCallOptions],
    ) -> None:
        """Queues an action, which Lambda runs later. Returns as soon as Lambda has accepted the call.

        The result of the action is not returned. The arguments and errors are those of `FunctionClient.call`.

        ```python
        async def send_report(client: AsyncLambdaClient, month: str) -> None:
            await client.call_one_way("send_report", "trace-1", {"month": month})
        ```
        """
        if options:
            await self._invoke("Event", cmd, context, params, **options)
        else:
            await self._invoke("Event", cmd, context, params)

    async def _call_one_way(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[LambdaCallOptions],
    ) -> None:
        """The same as `call_one_way`, for existing subclasses."""
        if options:
            await self.call_one_way(cmd, context, params, **options)
        else:
            await self.call_one_way(cmd, context, params)


async def _renew_keys(secrets: Any, deadline: float) -> Any:
    """Gets the keys to sign with in a thread, so that a request to AWS does not block the event loop.

    Raises:
        CredentialRetrievalError: the keys could not be renewed, or not before `deadline`, a time of the loop.
    """
    from botocore.exceptions import CredentialRetrievalError

    try:
        async with asyncio.timeout_at(deadline):
            return await asyncio.to_thread(secrets.get_keys)
    except TimeoutError as err:
        message = "the keys were not renewed in time"
        raise CredentialRetrievalError(provider="credential chain", error_msg=message) from err
    except RuntimeError as err:  # the system cannot start a thread
        raise CredentialRetrievalError(provider="credential chain", error_msg=str(err)) from err
