from __future__ import annotations

import asyncio
import re
from abc import abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .._context import CallContext, as_context
from .._rules.call import Call
from .._rules.errors import call_error
from .._rules.response import FunctionResponse
from .._tracebacks import hide_failures
from ._async_closing import AsyncClosing
from ._failures import classify
from ._serverless_client import NO_DESCRIPTOR, ServerlessClient
from ._transport import Transport

if TYPE_CHECKING:
    from typing import Unpack

    from .call_options import CallOptions

__tracebackhide__ = hide_failures

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class AsyncFunctionClient(ServerlessClient):
    """Calls the actions of one serverless function from asyncio. The base of all asynchronous clients.

    Configuration, references, retries and errors are those of `FunctionClient`.

    `configure`, `set_references`, `open`, `close` and `is_open` are not asynchronous, so containers and factories use
    both kinds of clients in the same way. `open` may block, for example in AWS's credential chain. `async with` opens
    the client in a thread.

    Several event loops may use the same client, also at the same time. Cancelling a call closes its connection.

    ```python
    class OrdersClient(AsyncAzureFunctionClient):
        async def get_order(self, context, order_id):
            return await self._call("get_order", context, {"order_id": order_id})

    async def main(client):
        async with client:
            return await client.get_order("123", "1")
    ```
    """

    _CLOSING = AsyncClosing

    @abstractmethod
    async def _send(
        self, transport: Transport, payload: bytes, one_way: bool, timeout: float, headers: Mapping[str, str]
    ) -> FunctionResponse:
        """Makes one attempt with additional `headers` within `timeout` seconds, and returns the whole response.

        Raises one of the exceptions in `transport.errors` if there is no whole response.
        """

    def _attempt_headers(self, context: CallContext) -> Mapping[str, str]:
        """Additional headers for an attempt. You can override this method, for example for tracing.

        It is called before each attempt. If it returns a header that the client sets itself, such as the one with the
        key, or one that cannot be sent, the call raises `BadRequestException` with the code `WRONG_HEADER`.

        ```python
        class TracedClient(AsyncAzureFunctionClient):
            def _attempt_headers(self, context):
                return {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
        ```
        """
        return {}

    async def call(
        self,
        cmd: str,
        context: CallContext = None,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls an action and returns its decoded result.

        The arguments and errors are those of `FunctionClient.call`.

        ```python
        async def get_order(client: AsyncAzureFunctionClient, order_id: str) -> dict:
            return await client.call("get_order", "trace-1", {"order_id": order_id}, timeout=5000)
        ```
        """
        return await (self._call(cmd, context, params, **options) if options else self._call(cmd, context, params))

    @abstractmethod
    async def _call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """The same as `call`, for the methods of a subclass.

        The arguments and errors are those of `FunctionClient.call`.
        """

    async def __aenter__(self) -> Self:
        try:
            await asyncio.to_thread(self.open, None)
        except OSError as err:  # asyncio imports its threads on first use
            if err.errno in NO_DESCRIPTOR:
                raise self._no_descriptor_error(err, None) from err
            raise
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(None)

    # --- A call ---

    async def _execute(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None,
        one_way: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls an action, retries it if that is safe or allowed, and returns its decoded result.

        Raises the exceptions of `call`.
        """
        opened, call = self._begin_call(cmd, context, params, one_way, options)
        while (wait := await self._attempt(opened.transport, call, context, one_way)) is not None:
            self._log_retry(context, call, wait)
            if await opened.closing.wait(wait):
                raise call.closed_error(type(self).__name__)
        return call.result()

    async def _attempt(self, transport: Transport, call: Call, context: CallContext, one_way: bool) -> float | None:
        """Makes one attempt. Returns the seconds to wait before the next one, or None if the call has ended."""
        timeout = call.begin()
        if timeout is None:
            return None
        headers = self._attempt_headers(as_context(context))
        for name, value in headers.items():
            if not _can_be_sent(name, value):
                message = f"_attempt_headers of {type(self).__name__} returned a header that cannot be sent: {name!r}"
                raise call_error("WRONG_HEADER", call.trace_id, message)
            if name.lower() in transport.own_headers:
                message = f"_attempt_headers of {type(self).__name__} may not set {name}, which the client sets itself"
                raise call_error("WRONG_HEADER", call.trace_id, message)
        try:
            response = await self._send(transport, call.payload, one_way, timeout, headers)
        except BaseException as err:
            failure = classify(err, transport.errors) if isinstance(err, Exception) else None
            if failure is None:
                call.aborted(err)
                raise
            return call.failed(*failure)
        return call.received(response)


def _can_be_sent(name: object, value: object) -> bool:
    if not isinstance(name, str) or not isinstance(value, str):
        return False
    return bool(_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value))
