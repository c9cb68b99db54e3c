from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

from pip_services4_components.config import ConfigParams, IConfigurable
from pip_services4_components.refer import DependencyResolver, IReferenceable, IReferences
from pip_services4_components.run import IOpenable
from pip_services4_observability.count import CompositeCounters
from pip_services4_observability.log import CompositeLogger
from pip_services4_observability.trace import CompositeTracer
from pip_services4_rpc.trace import InstrumentTiming

from .._context import CallContext, as_context, trace_id_of
from .._rules.answer import Answer
from .._rules.attempts import CallPolicy
from .._rules.call import Call
from .._rules.errors import Provider, call_error
from .._rules.options import Options
from ..connect._connection_params import is_readable_on_the_way
from ._closing import Closing
from ._failures import told
from ._observers import OwnCounters, OwnTracer
from ._transport import Transport


class _Opened(NamedTuple):
    transport: Transport
    options: Options
    policy: CallPolicy
    closing: Closing


class FunctionClient(IOpenable, IConfigurable, IReferenceable, ABC):
    """Calls the actions of one serverless function. The base of all providers' clients.

    It owns what they share: lifecycle, references, payload, the one loop that decides what is sent again, decoding,
    errors and instrumentation. A provider opens its transport, sends once, and closes.

    Configuration parameters, besides the provider's `connection` and `credential`:

    - `options.connect_timeout`: ms to connect (10000)
    - `options.timeout`: ms for one attempt to be answered whole (Azure 10000, Lambda 60000)
    - `options.total_timeout`: ms for the call with all its attempts and waits; 0 is no bound (0)
    - `options.retries`: further attempts after the first (3)
    - `options.idempotent`: the actions may be executed more than once (false)
    - `options.max_connections`: connections kept alive (64)
    - `options.idle_timeout`: ms after which a pooled connection is not used again (60000)
    - `options.tcp_keepalive`: ms of silence before TCP keep-alive probes, and between them; 0 sends none (45000)
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

    # The options, as `Options` explains them; a subclass may have other defaults.
    _connect_timeout: int = Options.connect_timeout
    _timeout: int = Options.timeout
    _total_timeout: int = Options.total_timeout
    _retries: int = Options.retries
    _idempotent: bool = Options.idempotent
    _max_connections: int = Options.max_connections
    _idle_timeout: int = Options.idle_timeout
    _tcp_keepalive: int = Options.tcp_keepalive
    _prefix_commands: bool = Options.prefix_commands

    _connection_resolver: Any
    _connection: Any

    _MAX_PAYLOAD: ClassVar[int]  # bytes
    _PROVIDER: ClassVar[Provider] = Provider()
    _LONGEST_REQUEST: ClassVar[int] = 0  # ms after which the provider's front end ends a request; 0 where it does not

    def __init__(self, name: str | None = None) -> None:
        self._name = name or ""
        self._dependency_resolver = DependencyResolver()
        self._logger: CompositeLogger = CompositeLogger()
        self._counters: CompositeCounters = OwnCounters()
        self._tracer: CompositeTracer = OwnTracer()
        self._defaults: Options | None = None
        self._lifecycle = threading.RLock()
        self._state: _Opened | None = None

    # --- What a provider adds ---

    @abstractmethod
    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        """Makes ready to send to `self._connection`, without connecting yet. Raises `ConfigException`."""

    @abstractmethod
    def _close_transport(self, transport: Transport) -> None:
        """Frees what `_open_transport` took; calls in flight may finish."""

    @abstractmethod
    def _send(self, transport: Transport, payload: bytes, one_way: bool, timeout: float) -> Answer:
        """Sends exactly once and reads the answer whole, in `timeout` seconds.

        Raises one of `transport.errors` when there is no whole answer.
        """

    @abstractmethod
    def _call(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> Any:
        """Calls an action and waits; returns its result, decoded.

        Args:
            cmd: the action, a string that is not empty.
            context: an `IContext`, a trace id as a `str`, or None; without a trace id a new one is made.
            params: by name, what JSON knows; or dates, decimals, UUIDs, bytes, enums, dataclasses, objects with
                `to_json`.

        Raises:
            ApplicationException: of the class and code that the documentation's page "Errors" lists, as
                `ConnectionException` without a whole answer, or the function's own error restored.

        ```python
        class OrdersClient(AzureFunctionClient):
            def get_order(self, context, order_id):
                return self._call("get_order", context, {"order_id": order_id})
        ```
        """

    def _payload_limit(self, one_way: bool) -> int:
        """The most bytes that the provider takes."""
        return self._MAX_PAYLOAD

    # --- Lifecycle ---

    def configure(self, config: ConfigParams) -> None:
        """Takes the configuration; a second call replaces what the first set, from the next `open` on.

        Raises:
            ConfigException: `WRONG_OPTION`, naming the key.
        """
        if self._defaults is None:  # a subclass may have set its own
            self._defaults = self._options()
        options = self._defaults.configured(config)
        with self._lifecycle:  # an `open` in another thread takes all of it from one configuration
            self._connect_timeout = options.connect_timeout
            self._timeout = options.timeout
            self._total_timeout = options.total_timeout
            self._retries = options.retries
            self._idempotent = options.idempotent
            self._max_connections = options.max_connections
            self._idle_timeout = options.idle_timeout
            self._tcp_keepalive = options.tcp_keepalive
            self._prefix_commands = options.prefix_commands
            self._connection_resolver.configure(config)
        self._dependency_resolver.configure(config)

    def _options(self) -> Options:
        return Options(
            self._connect_timeout,
            self._timeout,
            self._total_timeout,
            self._retries,
            self._idempotent,
            self._max_connections,
            self._idle_timeout,
            self._tcp_keepalive,
            self._prefix_commands,
        )

    def set_references(self, references: IReferences) -> None:
        """Takes logger, counters, tracer, discovery services and credential stores from the references."""
        self._logger = CompositeLogger(references)
        self._counters = OwnCounters(references)
        self._tracer = OwnTracer(references)
        self._connection_resolver.set_references(references)
        self._dependency_resolver.set_references(references)

    def is_open(self) -> bool:
        """True from `open` to `close`."""
        return self._state is not None

    def open(self, context: CallContext) -> None:
        """Resolves connection and credential and makes ready to call. Opening an open client does nothing.

        Raises:
            ConfigException: nothing to connect to, no credential, a wrong setting; it names the key.
        """
        with self._lifecycle:
            if self._state is not None:
                return
            self._connection = self._connection_resolver.resolve(context)
            options = self._options()
            transport = self._open_transport(context, options)
            policy = CallPolicy(
                options.timeout / 1000, options.total_timeout / 1000, options.retries, options.idempotent
            )
            self._state = _Opened(transport, options, policy, Closing())
        if transport.secrets and is_readable_on_the_way(transport.url):
            message = "%s sends its credentials over plain http to %s"
            self._logger.warn(as_context(context), message, type(self).__name__, transport.url.partition("?")[0])
        if 0 < self._LONGEST_REQUEST < options.timeout:
            message = "options.timeout of %s is %d ms, but the provider ends each request after %d ms"
            self._logger.warn(as_context(context), message, type(self).__name__, options.timeout, self._LONGEST_REQUEST)
        self._logger.debug(as_context(context), "Opened %s to call %s", type(self).__name__, self._address())

    def close(self, context: CallContext) -> None:
        """Ends waits between attempts and frees the connections; attempts in flight may finish. Twice is fine."""
        with self._lifecycle:
            opened, self._state = self._state, None
            if opened is None:
                return
            opened.closing.close()
            self._close_transport(opened.transport)
        self._logger.debug(as_context(context), "Closed %s to %s", type(self).__name__, self._address())

    def _address(self) -> str:
        """What is called, for logs."""
        return str(self._connection)

    # --- Instrumentation ---

    def _instrument(self, context: CallContext, name: str) -> InstrumentTiming:
        """Counts, times and traces a call under `name`; end the timing it returns, with the error if there is one.

        ```python
        class OrdersClient(AzureFunctionClient):
            def get_order(self, context, order_id):
                timing = self._instrument(context, "orders.get_order")
                try:
                    result = self._call("get_order", context, {"order_id": order_id})
                except Exception as err:
                    timing.end_timing(err)
                    raise
                timing.end_timing()
                return result
        ```
        """
        context = as_context(context)
        self._logger.trace(context, "Executing %s method", name)
        self._counters.increment_one(f"{name}.exec_count")
        counter_timing = self._counters.begin_timing(f"{name}.exec_time")
        # An empty operation: a tracer of pip-services cannot add None to a string.
        trace_timing = self._tracer.begin_trace(context, name, "")
        return InstrumentTiming(context, name, "exec", self._logger, self._counters, counter_timing, trace_timing)

    # --- The one call ---

    def _execute(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None, one_way: bool = False) -> Any:
        """Calls an action, again where that is safe or allowed, and returns its decoded result.

        Raises:
            ApplicationException: as `_call`.
        """
        trace_id = trace_id_of(context) or os.urandom(16).hex()
        if not isinstance(cmd, str) or not cmd:
            raise call_error("NO_COMMAND", trace_id, "cmd is missing: it must be a string that is not empty")
        opened = self._state
        if opened is None:
            raise call_error("NOT_OPENED", trace_id, f"{type(self).__name__} is not open", cmd=cmd)
        limit, secrets = self._payload_limit(one_way), opened.transport.secrets
        call = Call(cmd, trace_id, params, opened.policy, self._PROVIDER, limit, secrets)
        while (wait := self._attempt(opened.transport, call, one_way)) is not None:
            self._logger.debug(
                as_context(context), "Calling %s again in %d ms after %s", cmd, round(wait * 1000), call.code
            )
            if opened.closing.wait(wait):
                raise call.closed(type(self).__name__)
        return call.result()

    def _attempt(self, transport: Transport, call: Call, one_way: bool) -> float | None:
        """Makes one attempt; the seconds to wait before the next one, None when the call has ended."""
        timeout = call.begin()
        if timeout <= 0:
            return call.unanswered("CALL_TIMEOUT", TimeoutError("options.total_timeout was over before the attempt"))
        try:
            answer = self._send(transport, call.payload, one_way, timeout)
        except Exception as err:
            failure = told(err, transport.errors)
            if failure is None:
                raise
            return call.unanswered(*failure)
        return call.answered(answer)
