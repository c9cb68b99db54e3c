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

    It implements what they share: lifecycle, references, payload, retries, decoding, errors and instrumentation. The
    client of a provider opens a transport, makes single attempts, and closes the transport.

    Configuration parameters, in addition to the provider's `connection` and `credential`:

    - `options.connect_timeout`: time to connect, in ms (10000)
    - `options.timeout`: time for one attempt, in ms (Azure 10000, Google and Lambda 60000)
    - `options.total_timeout`: time for the call with all retries and waits, in ms; 0 means no limit (0)
    - `options.retries`: maximum number of retries (3)
    - `options.idempotent`: true allows a retry even if the function may have run already (false)
    - `options.max_connections`: connections that are kept open for reuse (64)
    - `options.idle_timeout`: time after which an idle connection is no longer reused, in ms (60000)
    - `options.tcp_keepalive`: time without traffic before each TCP keep-alive probe, in ms; 0 sends none (45000)
    - `options.commands.<cmd>.*`: `timeout`, `total_timeout`, `retries` and `idempotent` of one command
    - `dependencies.*`: references of a subclass, as in all pip-services components

    References:

    - `*:logger:*:*:1.0`, `*:counters:*:*:1.0`, `*:tracer:*:*:1.0`: (optional) log, count and trace the calls
    - `*:discovery:*:*:1.0`, `*:credential-store:*:*:1.0`: (optional) look up the connection and the credential

    A context is an `IContext`, a trace id as a `str`, or None.

    You can write the methods of a service once, and use them with the client of each provider:

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

        Raises one of the exceptions in `transport.errors` if there is no whole response.
        """

    def call(
        self,
        cmd: str,
        context: CallContext = None,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls an action, waits for its result and returns it, decoded from JSON.

        Args:
            cmd: the name of the action, not empty.
            context: an `IContext`, a trace id as a `str`, or None. If it has no trace id, a new one is generated.
            params: the action's parameters by name. The values are JSON values, dates, decimals, UUIDs, bytes, sets,
                enums, dataclasses, or objects with `to_json` or `to_dict`.
            options: options of this call, which override the configuration: see `CallOptions`, and
                `LambdaCallOptions` for Lambda.

        Returns:
            The decoded JSON. A response with the content type `text/plain` that is not valid JSON is returned as a
            `str`. An empty response is None.

        Raises:
            ApplicationException: the call failed. The page "Errors" of the documentation lists classes and codes. If
                no whole response arrived, it is a `ConnectionException`. An error of a pip-services function is
                restored.

        ```python
        def get_order(client: AzureFunctionClient, order_id: str) -> dict:
            return client.call("get_order", "trace-1", {"order_id": order_id}, timeout=5000)
        ```
        """
        # Options are passed only if there are any, because a subclass may override `_call` without them.
        return self._call(cmd, context, params, **options) if options else self._call(cmd, context, params)

    @abstractmethod
    def _call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """The same as `call`, for the methods of a subclass.

        The arguments and errors are those of `call`.

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

    # --- A call ---

    def _execute(
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
        while (wait := self._attempt(opened.transport, call, one_way)) is not None:
            self._log_retry(context, call, wait)
            if opened.closing.wait(wait):
                raise call.closed_error(type(self).__name__)
        return call.result()

    def _attempt(self, transport: Transport, call: Call, one_way: bool) -> float | None:
        """Makes one attempt. Returns the seconds to wait before the next one, or None if the call has ended."""
        timeout = call.begin()
        if timeout is None:
            return None
        try:
            response = self._send(transport, call.payload, one_way, timeout)
        except BaseException as err:
            failure = classify(err, transport.errors) if isinstance(err, Exception) else None
            if failure is None:
                call.aborted(err)
                raise
            return call.failed(*failure)
        return call.received(response)
