from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .._context import CallContext
from .._rules.call import Call
from .._rules.response import FunctionResponse
from .._tracebacks import hide_failures
from ._closing import Closing
from ._failures import classify
from ._serverless_client import ServerlessClient
from ._transport import Transport

if TYPE_CHECKING:
    from typing import Unpack

    from .call_options import CallOptions

__tracebackhide__ = hide_failures


class FunctionClient(ServerlessClient):
    """Calls the actions of one serverless function. The base of all providers' clients.

    It owns what they share: lifecycle, references, payload, the one loop that decides what is sent again, decoding,
    errors and instrumentation. A provider opens its transport, sends once, and closes.

    Configuration parameters, besides the provider's `connection` and `credential`:

    - `options.connect_timeout`: ms to connect (10000)
    - `options.timeout`: ms for one attempt to be answered whole (Azure 10000, Google and Lambda 60000)
    - `options.total_timeout`: ms for the call with all its attempts and waits; 0 is no bound (0)
    - `options.retries`: further attempts after the first (3)
    - `options.idempotent`: the actions may be executed more than once (false)
    - `options.max_connections`: connections kept alive (64)
    - `options.idle_timeout`: ms after which a pooled connection is not used again (60000)
    - `options.tcp_keepalive`: ms of silence before TCP keep-alive probes, and between them; 0 sends none (45000)
    - `options.commands.<cmd>.*`: `timeout`, `total_timeout`, `retries` and `idempotent` of one command
    - `dependencies.*`: as everywhere in pip-services

    References:

    - `*:logger:*:*:1.0`, `*:counters:*:*:1.0`, `*:tracer:*:*:1.0`: (optional) observe the calls
    - `*:discovery:*:*:1.0`, `*:credential-store:*:*:1.0`: (optional) resolve the connection and the credential

    A context is an `IContext`, a trace id as a plain `str`, or None.

    Calls that are the same on all providers are written once:

    ```python
    class OrdersCalls(FunctionClient):
        def get_order(self, context, order_id):
            return self._call("get_order", context, {"order_id": order_id})

    class OrdersAzureClient(OrdersCalls, AzureFunctionClient):
        pass

    class OrdersLambdaClient(OrdersCalls, LambdaClient):
        pass

    client = OrdersLambdaClient()
    client.configure(ConfigParams.from_tuples("connection.arn", "orders", "connection.region", "eu-west-1"))
    ```
    """

    _CLOSING = Closing

    @abstractmethod
    def _send(self, transport: Transport, payload: bytes, one_way: bool, timeout: float) -> FunctionResponse:
        """Sends exactly once and reads the response whole, in `timeout` seconds.

        Raises one of `transport.errors` when there is no whole response.
        """

    def call(
        self,
        cmd: str,
        context: CallContext = None,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls an action and waits; returns its result, decoded. As `_call`, for code outside of the client."""
        # Without options as ever: a subclass may have overridden `_call` before there were any.
        return self._call(cmd, context, params, **options) if options else self._call(cmd, context, params)

    @abstractmethod
    def _call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls an action and waits; returns its result, decoded.

        Args:
            cmd: the action, a string that is not empty.
            context: an `IContext`, a trace id as a `str`, or None; without a trace id a new one is made.
            params: by name, what JSON knows; or dates, decimals, UUIDs, bytes, enums, dataclasses, objects with
                `to_json`.
            options: of this call, in place of the configured ones: those of `CallOptions`, on Lambda of
                `LambdaCallOptions`.

        Raises:
            ApplicationException: of the class and code that the documentation's page "Errors" lists, as
                `ConnectionException` without a whole response, or the function's own error restored.

        ```python
        class OrdersClient(AzureFunctionClient):
            def get_order(self, context, order_id):
                return self._call("get_order", context, {"order_id": order_id})
        ```
        """

    def __enter__(self) -> Self:
        self.open(None)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close(None)

    # --- The one call ---

    def _execute(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None,
        one_way: bool = False,
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls an action, again where that is safe or allowed, and returns its decoded result.

        Raises:
            ApplicationException: as `_call`.
        """
        opened, call = self._begin_call(cmd, context, params, one_way, options)
        while (wait := self._attempt(opened.transport, call, one_way)) is not None:
            self._log_retry(context, call, wait)
            if opened.closing.wait(wait):
                raise call.closed(type(self).__name__)
        return call.result()

    def _attempt(self, transport: Transport, call: Call, one_way: bool) -> float | None:
        """Makes one attempt; the seconds to wait before the next one, None when the call has ended."""
        timeout = call.begin()
        if timeout is None:
            return None
        try:
            response = self._send(transport, call.payload, one_way, timeout)
        except Exception as err:
            failure = classify(err, transport.errors)
            if failure is None:
                raise
            return call.failed(*failure)
        return call.received(response)
