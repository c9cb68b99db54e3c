"""What blocking and asynchronous clients share: configuration, references, lifecycle, observers, how a call begins."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

from pip_services4_components.config import ConfigParams, IConfigurable
from pip_services4_components.refer import DependencyResolver, IReferenceable, IReferences
from pip_services4_components.run import IOpenable
from pip_services4_observability.count import CompositeCounters
from pip_services4_observability.log import CompositeLogger
from pip_services4_observability.trace import CompositeTracer
from pip_services4_rpc.trace import InstrumentTiming

from .._context import CallContext, as_context, trace_id_of
from .._rules.attempts import CallPolicy
from .._rules.call import Call
from .._rules.errors import Provider, Target, call_error, check_context
from .._rules.options import OPTIONS, Options
from .._rules.spelling import misspelled
from .._tracebacks import hide_failures
from ..connect._connection_params import is_readable_on_the_way
from ..connect._refusals import refuse
from ._observers import OwnCounters, OwnTracer
from ._transport import Transport

__tracebackhide__ = hide_failures


class Opened(NamedTuple):
    transport: Transport
    options: Options
    policy: CallPolicy
    target: Target
    closing: Any  # a `Closing` or an `AsyncClosing`


class ServerlessClient(IOpenable, IConfigurable, IReferenceable, ABC):
    """A client of one serverless function. `FunctionClient` and `AsyncFunctionClient` say how it calls."""

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

    _CLOSING: ClassVar[type[Any]]  # a `Closing` or an `AsyncClosing`
    _KEYS: ClassVar[frozenset[str]] = frozenset()  # of its `connection` and `credential` sections
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
        self._ignored: tuple[tuple[str, str], ...] = ()  # settings that look like ours, and our names of them
        self._lifecycle = threading.RLock()
        self._state: Opened | None = None

    # --- What a provider adds ---

    @abstractmethod
    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        """Makes ready to send to `self._connection`, without connecting yet. Raises `ConfigException`."""

    @abstractmethod
    def _close_transport(self, transport: Transport) -> None:
        """Frees what `_open_transport` took; calls in flight may finish."""

    def _payload_limit(self, one_way: bool) -> int:
        """The most bytes that the provider takes."""
        return self._MAX_PAYLOAD

    # --- Lifecycle ---

    def configure(self, config: ConfigParams | Mapping[str, Any]) -> None:
        """Takes the configuration; a second call replaces what the first set, from the next `open` on.

        Args:
            config: `ConfigParams`, or a dict of the same keys, flat (`connection.uri`) or nested.

        Raises:
            ConfigException: `WRONG_OPTION`, naming the key.
        """
        if self._defaults is None:  # a subclass may have set its own
            self._defaults = self._options()
        config = config if isinstance(config, ConfigParams) else ConfigParams.from_value(config)
        options = self._defaults.configured(config)
        # One set for both sections: the published packages put credentials under `connection`, too.
        keys = {*self._KEYS, "discovery_key", "store_key"}
        ignored = tuple(misspelled(config, {"options": OPTIONS, "connection": keys, "credential": keys}))
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
            self._ignored = ignored
            self._connection_resolver.configure(config)
        self._dependency_resolver.configure(config)

    @classmethod
    def _configured(cls, name: str | None, settings: Mapping[str, Any], options: Mapping[str, Any]) -> Self:
        """A configured client that is not yet open.

        Raises:
            ConfigException: `WRONG_OPTION`, naming an option that there is not.
        """
        for option in options:
            if option not in OPTIONS:
                refuse(None, "WRONG_OPTION", f"options.{option}", f"does not exist; there are {', '.join(OPTIONS)}")
        client = cls() if name is None else cls(name)
        given = {key: value for key, value in settings.items() if value is not None}
        client.configure(ConfigParams({**given, **{f"options.{key}": value for key, value in options.items()}}))
        return client

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

    def open(self, context: CallContext = None) -> None:
        """Resolves connection and credential and makes ready to call. Opening an open client does nothing.

        Raises:
            BadRequestException: `WRONG_CONTEXT`.
            ConfigException: nothing to connect to, no credential, a wrong setting; it names the key.
        """
        check_context(context)
        with self._lifecycle:
            if self._state is not None:
                return
            self._connection = self._connection_resolver.resolve(context)
            options = self._options()
            transport = self._open_transport(context, options)
            policy = CallPolicy(
                options.timeout / 1000, options.total_timeout / 1000, options.retries, options.idempotent
            )
            self._state = Opened(transport, options, policy, self._target(), self._CLOSING())
        if transport.secrets and is_readable_on_the_way(transport.url):
            message = "%s sends its credentials over plain http to %s"
            self._logger.warn(as_context(context), message, type(self).__name__, transport.url.partition("?")[0])
        if self._ignored:
            told = ", ".join(f"{key} (is it {right}?)" for key, right in self._ignored)
            self._logger.warn(
                as_context(context), "%s ignores settings that it does not know: %s", type(self).__name__, told
            )
        if 0 < self._LONGEST_REQUEST < options.timeout:
            message = "options.timeout of %s is %d ms, but the provider ends each request after %d ms"
            self._logger.warn(as_context(context), message, type(self).__name__, options.timeout, self._LONGEST_REQUEST)
        self._logger.debug(as_context(context), "Opened %s to call %s", type(self).__name__, self._address())

    def close(self, context: CallContext = None) -> None:
        """Ends waits between attempts and frees the connections; attempts in flight may finish. Twice is fine.

        Raises:
            BadRequestException: `WRONG_CONTEXT`.
        """
        check_context(context)
        with self._lifecycle:
            opened, self._state = self._state, None
            if opened is None:
                return
            opened.closing.close()
            self._close_transport(opened.transport)
        self._logger.debug(as_context(context), "Closed %s to %s", type(self).__name__, self._address())

    def _target(self) -> Target:
        """What errors say that was called."""
        return Target(type(self).__name__, "url", "")

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
        check_context(context)
        context = as_context(context)
        self._logger.trace(context, "Executing %s method", name)
        self._counters.increment_one(f"{name}.exec_count")
        counter_timing = self._counters.begin_timing(f"{name}.exec_time")
        # An empty operation: a tracer of pip-services cannot add None to a string.
        trace_timing = self._tracer.begin_trace(context, name, "")
        return InstrumentTiming(context, name, "exec", self._logger, self._counters, counter_timing, trace_timing)

    # --- A call ---

    def _begin_call(
        self, cmd: str, context: CallContext, params: Mapping[str, Any] | None, one_way: bool
    ) -> tuple[Opened, Call]:
        """A call that has made no attempt yet.

        Raises:
            ApplicationException: `WRONG_CONTEXT`, `NO_COMMAND`, `NOT_OPENED`, or what `Call` raises.
        """
        check_context(context)
        trace_id = trace_id_of(context) or os.urandom(16).hex()
        if not isinstance(cmd, str) or not cmd:
            raise call_error("NO_COMMAND", trace_id, "cmd is missing: it must be a string that is not empty")
        opened = self._state
        if opened is None:
            never = ", and was never configured" if self._defaults is None else ""
            raise call_error("NOT_OPENED", trace_id, f"{type(self).__name__} is not open{never}", cmd=cmd)
        limit, secrets = self._payload_limit(one_way), opened.transport.secrets
        return opened, Call(cmd, trace_id, params, opened.policy, self._PROVIDER, limit, secrets, opened.target)

    def _log_retry(self, context: CallContext, call: Call, wait: float) -> None:
        message = "Calling %s again in %d ms after %s"
        self._logger.debug(as_context(context), message, call.cmd, round(wait * 1000), call.code)
