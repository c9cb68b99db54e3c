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
    """Calls the actions of one serverless function. The base of all blocking clients.

    It implements what they share: lifecycle, references, payload, retries, decoding, errors and instrumentation. A
    provider's client opens a transport, makes single attempts, and closes the transport.

    Configuration parameters, besides the provider's `connection` and `credential`:

    - `options.connect_timeout`: time to connect, in ms (10000)
    - `options.timeout`: time for one attempt, in ms (Azure 10000, Google and Lambda 60000)
    - `options.total_timeout`: time for the call with all retries and waits, in ms; 0 means no limit (0)
    - `options.retries`: maximum number of retries (3)
    - `options.idempotent`: true allows a retry even if the function may have run already (false)
    - `options.max_connections`: connections that are kept open for reuse (64)
    - `options.idle_timeout`: time after which an idle connection is no longer reused, in ms (60000)
    - `options.tcp_keepalive`: time without data before and between TCP keep-alive probes, in ms; 0 sends none (45000)
    - `options.commands.<cmd>.*`: `timeout`, `total_timeout`, `retries` and `idempotent` of one command
    - `dependencies.*`: references of a subclass, as in all pip-services components

    References:

    - `*:logger:*:*:1.0`, `*:counters:*:*:1.0`, `*:tracer:*:*:1.0`: (optional) log, count and trace the calls
    - `*:discovery:*:*:1.0`, `*:credential-store:*:*:1.0`: (optional) look up the connection and the credential

    A context is an `IContext`, a trace id as a plain `str`, or None.

    Methods that are the same for all providers are written once:

    ```python
    class OrdersCalls(FunctionClient):
        def get_order(self, context, order_id):
            return self._call("get_order", context, {"order_id": order_id})

    class OrdersAzureClient(OrdersCalls, AzureFunctionClient):
        pass

    class OrdersLambdaClient(OrdersCalls, LambdaClient):
        pass

    client = OrdersLambdaClient()
    client.configure({"connection.arn": "orders", "connection.region": "eu-west-1"})
    ```
    """

    _CLOSING = Closing

    @abstractmethod
    def _send(self, transport: Transport, payload: bytes, one_way: bool, timeout: float) -> FunctionResponse:
        """Makes one attempt within `timeout` seconds, and returns the whole response.

        Raises one of `transport.errors` if there is no whole response.
        """

    def call(
        self,
        cmd: str,
        context: CallContext = None,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls an action and returns its decoded result. Like `_call`, for code outside of the client."""
        # Options are passed only if there are any: a subclass may override `_call` without them.
        return self._call(cmd, context, params, **options) if options else self._call(cmd, context, params)

    @abstractmethod
    def _call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls an action, waits for its result and returns it, decoded.

        Args:
            cmd: the name of the action, not empty.
            context: an `IContext`, a trace id as a `str`, or None. Without a trace id, a new one is generated.
            params: the action's parameters by name: JSON values, dates, decimals, UUIDs, bytes, enums, dataclasses or
                objects with `to_json` or `to_dict`.
            options: options of this call, which override the configuration: see `CallOptions`, and
                `LambdaCallOptions` for Lambda.

        Raises:
            ApplicationException: the page "Errors" of the documentation lists classes and codes. Without a whole
                response it is a `ConnectionException`. An error of a pip-services function is restored.

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
        """Calls an action, retries it if that is safe or allowed, and returns its decoded result.

        Raises:
            ApplicationException: see `_call`.
        """
        opened, call = self._begin_call(cmd, context, params, one_way, options)
        while (wait := self._attempt(opened.transport, call, one_way)) is not None:
            self._log_retry(context, call, wait)
            if opened.closing.wait(wait):
                raise call.closed_error(type(self).__name__)
        return call.result()

    def _attempt(self, transport: Transport, call: Call, one_way: bool) -> float | None:
        """Makes one attempt. Returns the seconds to wait before the next one, or None when the call has ended."""
        timeout = call.begin()
        if timeout is None:
            return None
        try:
            response = self._send(transport, call.payload, one_way, timeout)
        except BaseException as err:
            failure = classify(err, transport.errors) if isinstance(err, Exception) else None
            if failure is None:
                call.broken_off(err)
                raise
            return call.failed(*failure)
        return call.received(response)
