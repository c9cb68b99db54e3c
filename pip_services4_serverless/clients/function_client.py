from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from time import monotonic
from typing import Any, ClassVar, NamedTuple

from pip_services4_components.config import ConfigParams, IConfigurable
from pip_services4_components.refer import DependencyResolver, IReferenceable, IReferences
from pip_services4_components.run import IOpenable
from pip_services4_observability.count import CompositeCounters
from pip_services4_observability.log import CompositeLogger
from pip_services4_observability.trace import CompositeTracer
from pip_services4_rpc.trace import InstrumentTiming

from .._context import CallContext, as_context, trace_id_of
from ..connect._connection_params import is_readable_on_the_way
from ._answer import MAX_ANSWER, AnswerTooLargeError, decode, masked
from ._attempts import Attempts, CallPolicy
from ._deadline import Deadline
from ._errors import Failure, Resend, call_error, failure_of, no_answer
from ._observers import OwnCounters, OwnTracer
from ._options import OPTIONS, read_option
from ._payload import encode
from ._transport import Answer, Transport

_NO_ANSWER = {
    "CANNOT_CONNECT": "Could not connect",
    "CALL_TIMEOUT": "No whole answer in time",
    "NO_RESPONSE": "The connection was lost before a whole answer",
    "DESERIALIZATION_FAILED": "The answer cannot be decoded",
    "NO_CREDENTIALS": "The credentials could not be loaded",
    "CALL_FAILED": "The call could not be made",
}


class _Opened(NamedTuple):
    transport: Transport
    policy: CallPolicy
    closing: threading.Event


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

    _connect_timeout: int = 10000  # ms
    _timeout: int = 10000  # ms
    _connection_resolver: Any
    _connection: Any

    _MAX_PAYLOAD: ClassVar[int]  # bytes

    def __init__(self, name: str | None = None) -> None:
        self._name = name or ""
        self._dependency_resolver = DependencyResolver()
        self._logger: CompositeLogger = CompositeLogger()
        self._counters: CompositeCounters = OwnCounters()
        self._tracer: CompositeTracer = OwnTracer()
        self._total_timeout = 0  # ms
        self._retries = 3
        self._idempotent = False
        self._max_connections = 64
        self._idle_timeout = 60000  # ms
        self._defaults: Mapping[str, int] | None = None
        self._lifecycle = threading.RLock()
        self._state: _Opened | None = None

    # --- What a provider adds ---

    @abstractmethod
    def _open_transport(self, context: CallContext) -> Transport:
        """Makes ready to send to `self._connection`, without connecting yet. Raises `ConfigException`."""

    @abstractmethod
    def _close_transport(self, transport: Transport) -> None:
        """Frees what `_open_transport` took; calls in flight may finish."""

    @abstractmethod
    def _send(self, transport: Transport, payload: bytes, one_way: bool, deadline: Deadline) -> Answer:
        """Sends exactly once and reads the answer whole.

        Raises one of `transport.errors` when there is no whole answer, and `AnswerTooLargeError`.
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
            self._defaults = {name: getattr(self, f"_{name}") for name in OPTIONS if hasattr(self, f"_{name}")}
        values = {name: read_option(config, name, default) for name, default in self._defaults.items()}
        for name, value in values.items():
            setattr(self, f"_{name}", value)
        self._connection_resolver.configure(config)
        self._dependency_resolver.configure(config)

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
            transport = self._open_transport(context)
            policy = CallPolicy(
                timeout=self._timeout / 1000,
                connect_timeout=self._connect_timeout / 1000,
                total_timeout=self._total_timeout / 1000,
                retries=self._retries,
                idempotent=bool(self._idempotent),
                idle_timeout=self._idle_timeout / 1000,
            )
            self._state = _Opened(transport, policy, threading.Event())
        if transport.secrets and is_readable_on_the_way(transport.url):
            message = "%s sends its credentials over plain http to %s"
            self._logger.warn(as_context(context), message, type(self).__name__, transport.url.partition("?")[0])
        self._logger.debug(as_context(context), "Opened %s to call %s", type(self).__name__, self._address())

    def close(self, context: CallContext) -> None:
        """Ends waits between attempts and frees the connections; attempts in flight may finish. Twice is fine."""
        with self._lifecycle:
            opened, self._state = self._state, None
            if opened is None:
                return
            opened.closing.set()
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
        attempts = Attempts(opened.policy)
        payload = encode(cmd, trace_id, params, self._payload_limit(one_way))
        while True:
            outcome = self._attempt(opened, payload, one_way, trace_id, attempts.next_timeout())
            if not isinstance(outcome, Failure):
                return decode(outcome, trace_id)
            wait = attempts.wait_after(outcome)
            if wait is None:
                try:
                    raise outcome.error from outcome.cause
                finally:
                    del outcome  # its error's traceback holds this frame: only the garbage collector would free them
            self._logger.debug(
                as_context(context), "Calling %s again in %d ms after %s", cmd, round(wait * 1000), outcome.error.code
            )
            if opened.closing.wait(wait):
                message = f"{type(self).__name__} was closed while {cmd} waited to be called again"
                raise call_error("NOT_OPENED", trace_id, message, cmd=cmd) from outcome.error

    def _attempt(
        self, opened: _Opened, payload: bytes, one_way: bool, trace_id: str, timeout: float
    ) -> Answer | Failure:
        policy = opened.policy
        with Deadline(timeout, policy.connect_timeout, policy.idle_timeout) as deadline:
            try:
                answer = self._send(opened.transport, payload, one_way, deadline)
            except AnswerTooLargeError as err:
                return no_answer("RESPONSE_TOO_LARGE", trace_id, f"The answer is over {MAX_ANSWER} bytes", err)
            except Exception as err:
                code = next((code for classes, code in opened.transport.errors if isinstance(err, classes)), None)
                if code is None:
                    raise
                return self._no_answer(opened, deadline, code, trace_id, err)
        if 200 <= answer.status < 300 and not answer.function_failed:
            return answer
        answer = answer._replace(body=masked(answer.body, opened.transport.secrets))
        return failure_of(answer, trace_id) or answer

    def _no_answer(self, opened: _Opened, deadline: Deadline, code: str, trace_id: str, err: Exception) -> Failure:
        """What the connection noted goes before the exception's class: libraries blur connecting and reading."""
        if opened.closing.is_set() and not deadline.touched:
            message = f"{type(self).__name__} was closed"
            return Failure(call_error("NOT_OPENED", trace_id, message), Resend.NEVER, cause=err)
        if deadline.connecting:
            code = "CANNOT_CONNECT"
        elif code == "NO_RESPONSE" and (deadline.timed_out or monotonic() >= deadline.ends_at):
            code = "CALL_TIMEOUT"
        return no_answer(code, trace_id, _NO_ANSWER[code], err)
