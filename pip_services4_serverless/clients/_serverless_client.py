"""What blocking and asynchronous clients share: configuration, references, lifecycle, instrumentation."""

from __future__ import annotations

import errno
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Set
from contextlib import suppress
from typing import Any, ClassVar, NamedTuple, Self

from pip_services4_commons.errors import ApplicationException, ConfigException
from pip_services4_components.config import ConfigParams, IConfigurable
from pip_services4_components.refer import DependencyResolver, IReferenceable, IReferences
from pip_services4_components.run import IOpenable
from pip_services4_observability.count import CompositeCounters
from pip_services4_observability.log import CompositeLogger
from pip_services4_observability.trace import CompositeTracer
from pip_services4_rpc.trace import InstrumentTiming

from .._context import CallContext, as_context, trace_id_of
from .._locks import ProcessLock
from .._rules.attempts import CallPolicy
from .._rules.call import Call
from .._rules.errors import Provider, Target, call_error, check_context
from .._rules.options import CALL_OPTIONS, COMMANDS, OPTIONS, Option, Options, read_commands, wrong_call_option
from .._rules.secrets import clear_locals
from .._rules.spelling import misspelled
from .._tracebacks import hide_failures
from ..connect._config_errors import config_error
from ._observers import ClientCounters, ClientLogger, ClientTracer
from ._transport import Transport

__tracebackhide__ = hide_failures

NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)  # the limit of the process, and that of the machine


class Opened(NamedTuple):
    """The state of an open client. It is never changed: each call uses the state that it began with."""

    transport: Transport
    options: Options
    policy: CallPolicy
    policies: Mapping[str, CallPolicy]  # those of single commands, by the command as it is sent
    target: Target
    closing: Any  # a `Closing` or an `AsyncClosing`


class ServerlessClient(IOpenable, IConfigurable, IReferenceable, ABC):
    """A client of one serverless function. `FunctionClient` and `AsyncFunctionClient` add the calls."""

    # The options, which are described in `Options`. A subclass may set other defaults.
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
    _keys: Set[str] = frozenset()  # those allowed in the sections `connection` and `credential`

    _CLOSING: ClassVar[type[Any]]  # a `Closing` or an `AsyncClosing`
    _CALL_OPTIONS: ClassVar[Mapping[str, Option]] = CALL_OPTIONS
    _MAX_PAYLOAD: ClassVar[int]  # bytes
    _PROVIDER: ClassVar[Provider] = Provider()
    _MAX_REQUEST_TIME: ClassVar[int] = 0  # ms after which the provider ends a request, or 0 for no limit

    def __init__(self, name: str | None = None) -> None:
        self._name = name or ""
        self._dependency_resolver = DependencyResolver()
        self._logger: CompositeLogger = ClientLogger()
        self._counters: CompositeCounters = ClientCounters()
        self._tracer: CompositeTracer = ClientTracer()
        self._references: IReferences | None = None
        self._descriptor: Any = None  # set by a factory or a configuration
        self._defaults: Options | None = None
        self._commands: Mapping[str, Mapping[str, int]] = {}  # the options of single commands
        self._invalid_config: ConfigParams | None = None  # of a container; `open` raises the error
        self._unknown_settings: tuple[tuple[str, str], ...] = ()  # pairs of an unknown name and the likely name
        self._lifecycle = ProcessLock()
        self._state: Opened | None = None

    # --- What a provider adds ---

    @abstractmethod
    def _open_transport(self, context: CallContext, options: Options) -> Transport:
        """Prepares to send requests to `self._connection`. Does not connect. Raises `ConfigException`."""

    @abstractmethod
    def _close_transport(self, transport: Transport) -> None:
        """Closes the transport that `_open_transport` has made. Attempts in progress may finish."""

    def _transport_for(self, transport: Transport, options: Mapping[str, Any], trace_id: str) -> Transport:
        """The transport for a call that has its own options."""
        return transport

    def _payload_limit(self, one_way: bool) -> int:
        """The provider's limit for the payload, in bytes."""
        return self._MAX_PAYLOAD

    # --- Lifecycle ---

    def configure(self, config: ConfigParams | Mapping[str, Any]) -> None:
        """Sets the configuration, which the next `open` uses. A second call replaces the first configuration.

        Args:
            config: `ConfigParams`, or a dict with the same keys, flat (`connection.uri`) or nested.

        Raises:
            ConfigException: `WRONG_OPTION`, naming the key. If the configuration has a `descriptor` or a `type`, as in
                a container, `open` raises the exception, because containers hide exceptions of `configure`.

        ```python
        client = AzureFunctionClient()
        client.configure({
            "connection": {"uri": "http://localhost:7071/api/orders"},
            "options": {"timeout": 5000},
        })
        ```
        """
        if self._defaults is None:  # the first call; a subclass may have set its own defaults before it
            self._defaults = self._options()
        if isinstance(config, Mapping) and not isinstance(config, ConfigParams):
            config = {str(key): value for key, value in config.items()}  # pip-services needs a dict with string keys
        config = config if isinstance(config, ConfigParams) else ConfigParams.from_value(config)
        locator = config.get_as_nullable_string("descriptor") or config.get_as_nullable_string("type")
        self._descriptor = locator or self._descriptor
        self._invalid_config = None
        try:
            self._apply(config, self._defaults)
        except ConfigException:
            if not locator:
                raise
            self._invalid_config = config

    def _apply(self, config: ConfigParams, defaults: Options) -> None:
        """Applies the whole configuration. If an option is wrong, raises the exception and applies nothing."""
        options, commands = defaults.configured(config), read_commands(config)
        # The same set for both sections, because the published packages also accept credentials under `connection`.
        keys = {*self._keys, "discovery_key", "store_key"}
        unknown = tuple(misspelled(config, {"options": OPTIONS, "connection": keys, "credential": keys}))
        with self._lifecycle.own:  # an `open` in another thread must not see a part of the configuration
            self._connect_timeout = options.connect_timeout
            self._timeout = options.timeout
            self._total_timeout = options.total_timeout
            self._retries = options.retries
            self._idempotent = options.idempotent
            self._max_connections = options.max_connections
            self._idle_timeout = options.idle_timeout
            self._tcp_keepalive = options.tcp_keepalive
            self._prefix_commands = options.prefix_commands
            self._commands = commands
            self._unknown_settings = unknown
            self._connection_resolver.configure(config)
        self._dependency_resolver.configure(config)

    @classmethod
    def _configured(cls, name: str | None, settings: Mapping[str, Any], options: Mapping[str, Any]) -> Self:
        """Makes a client and configures it.

        Raises:
            ConfigException: `WRONG_OPTION`, naming the option.
        """
        for option in options:
            if option not in OPTIONS and option != "commands":
                message = f"does not exist; the options are {', '.join(OPTIONS)}"
                raise config_error(None, "WRONG_OPTION", f"options.{option}", message)
        client = cls() if name is None else cls(name)
        given = {key: value for key, value in settings.items() if value is not None}
        client.configure(ConfigParams.from_value({**given, "options": options}))
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
        """Sets the references to loggers, counters, tracers, discovery services and credential stores."""
        self._references = references
        self._logger = ClientLogger(references)
        self._counters = ClientCounters(references)
        self._tracer = ClientTracer(references)
        self._connection_resolver.set_references(references)
        self._dependency_resolver.set_references(references)

    def is_open(self) -> bool:
        """Whether the client is open."""
        return self._state is not None

    def open(self, context: CallContext = None) -> None:
        """Resolves the connection and the credential, and prepares for calls. Opening an open client does nothing.

        Raises:
            BadRequestException: `WRONG_CONTEXT`.
            ConfigException: the connection or the credential is missing, or a setting is wrong. The message names the
                key and the component.
            ConnectionException: `CANNOT_CONNECT`: the process or the machine has no free file descriptor.
        """
        check_context(context)
        handled = sys.exception()  # the exception that the caller is handling; its traceback is not changed
        with self._lifecycle.own:
            if self._state is not None:
                return
            try:
                if self._invalid_config is not None:
                    self._apply(self._invalid_config, self._defaults or self._options())
                self._connection = self._connection_resolver.resolve(context)
                options = self._options()
                transport = self._open_transport(context, options)
            except BaseException as err:
                clear_locals(err, handled)
                if isinstance(err, OSError) and err.errno in NO_DESCRIPTOR:
                    raise self._no_descriptor_error(err, context) from err
                if isinstance(err, Exception):
                    self._name_component(err, context)
                raise
            policy = CallPolicy(
                options.timeout / 1000, options.total_timeout / 1000, options.retries, options.idempotent
            )
            commands = self._commands
            self._state = Opened(transport, options, policy, self._policies(policy), self._target(), self._CLOSING())
        from ..connect._connection_params import is_unencrypted  # imported late, as by the providers' clients

        if transport.secrets and is_unencrypted(transport.url):
            message = "%s sends its credentials over plain http to %s"
            self._logger.warn(as_context(context), message, type(self).__name__, transport.url.partition("?")[0])
        if self._unknown_settings:
            shown = ", ".join(f"{key} (did you mean {right}?)" for key, right in self._unknown_settings)
            self._logger.warn(as_context(context), "%s ignores unknown settings: %s", type(self).__name__, shown)
        timeouts = {f"{COMMANDS}{cmd}.timeout": each.get("timeout", 0) for cmd, each in commands.items()}
        for key, timeout in {"options.timeout": options.timeout, **timeouts}.items():
            if 0 < self._MAX_REQUEST_TIME < timeout:
                message = "%s of %s is %d ms, but the provider ends each request after %d ms"
                self._logger.warn(
                    as_context(context), message, key, type(self).__name__, timeout, self._MAX_REQUEST_TIME
                )
        self._logger.debug(as_context(context), "Opened %s to call %s", type(self).__name__, self._address())

    def close(self, context: CallContext = None) -> None:
        """Closes the idle connections. Attempts in progress may finish, but are not retried.

        A call that waits for a retry raises `NOT_OPENED`. Closing a closed client does nothing.

        Raises:
            BadRequestException: `WRONG_CONTEXT`.
        """
        check_context(context)
        with self._lifecycle.own:
            opened, self._state = self._state, None
            if opened is None:
                return
            opened.closing.close()
            self._close_transport(opened.transport)
        self._logger.debug(as_context(context), "Closed %s to %s", type(self).__name__, self._address())

    def _policies(self, policy: CallPolicy) -> dict[str, CallPolicy]:
        """The policies of single commands, by the command with and without the service's name."""
        policies = {cmd: policy.with_options(options) for cmd, options in self._commands.items()}
        if self._name:
            policies |= {f"{self._name}.{cmd}": each for cmd, each in policies.items()}
        return policies

    def _no_descriptor_error(self, err: OSError, context: CallContext) -> ApplicationException:
        """The error of an `open` that could not open a file, for example to import a library."""
        error = call_error("CANNOT_CONNECT", trace_id_of(context), f"No file descriptor is free: {err}")
        self._name_component(error, context)
        return error

    def _name_component(self, err: Exception, context: CallContext) -> None:
        """Adds the client to the message and the details of an error of `open`."""
        suffix = "" if self._defaults else ", which was never configured"
        where = f"opening {self._component()}{suffix}"
        if not isinstance(err, ApplicationException):
            err.add_note(f"While {where}")
            return
        err.message = f"{err.message} ({where})"
        err.args = (err.message,)
        err.trace_id = err.trace_id or trace_id_of(context)
        for key, value in self._component_details().items():
            err.with_details(key, value)

    def _component(self) -> str:
        """The class, with the descriptor or the name."""
        return " ".join(self._component_details().values())

    def _component_details(self) -> dict[str, str]:
        details = {"client": type(self).__name__}
        if locator := self._locator():
            details["descriptor"] = str(locator)
        elif self._name:
            details["name"] = self._name
        return details

    def _locator(self) -> Any:
        """The locator of this client in the references, or else its descriptor, or None."""
        if self._references is not None:
            with suppress(NotImplementedError):  # a user's own class of references may not implement these methods
                locators, components = self._references.get_all_locators(), self._references.get_all()
                for locator, component in zip(locators, components, strict=False):
                    if component is self:
                        return locator
        return self._descriptor

    def _target(self) -> Target:
        """The function that is called, for errors."""
        return Target(type(self).__name__, "url", "")

    def _address(self) -> str:
        """The function that is called, for logs."""
        return str(self._connection)

    # --- Instrumentation ---

    def _instrument(self, context: CallContext, name: str) -> InstrumentTiming:
        """Counts, times and traces a call.

        Args:
            context: the context of the call.
            name: the name of the counters and of the trace.

        Returns:
            A timing. End it after the call: `end_timing()`, or `end_timing(error)` if the call failed.

        Raises:
            BadRequestException: `WRONG_CONTEXT`.

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
        self._logger.trace(context, f"Executing {name} method")
        self._counters.increment_one(f"{name}.exec_count")
        counter_timing = self._counters.begin_timing(f"{name}.exec_time")
        # The operation is an empty string, because a tracer of pip-services fails if it is None.
        trace_timing = self._tracer.begin_trace(context, name, "")
        return InstrumentTiming(context, name, "exec", self._logger, self._counters, counter_timing, trace_timing)

    # --- A call ---

    def _begin_call(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None,
        one_way: bool,
        options: Mapping[str, Any] | None,
    ) -> tuple[Opened, Call]:
        """Begins a call. Returns it with the state of the client that it uses.

        Raises:
            ApplicationException: `WRONG_CONTEXT`, `NO_COMMAND`, `NOT_OPENED`, `WRONG_OPTION`, or what `Call` raises.
        """
        check_context(context)
        trace_id = trace_id_of(context) or os.urandom(16).hex()
        if not isinstance(cmd, str) or not cmd:
            raise call_error("NO_COMMAND", trace_id, "cmd must be a non-empty string")
        cmd = str.__str__(cmd)  # an error would show the name of a `(str, Enum)` member, and not its value
        opened = self._state
        if opened is None:
            if self._defaults is not None:
                raise call_error("NOT_OPENED", trace_id, f"{type(self).__name__} is not open", command=cmd)
            message = f"{self._component()} is not open and was never configured"
            raise call_error("NOT_OPENED", trace_id, message, None, command=cmd, **self._component_details())
        if options or opened.policies:
            opened = self._opened_for(opened, cmd, trace_id, options or {})
        limit, secrets = self._payload_limit(one_way), opened.transport.secrets
        return opened, Call(cmd, trace_id, params, opened.policy, self._PROVIDER, limit, secrets, opened.target)

    def _opened_for(self, opened: Opened, cmd: str, trace_id: str, options: Mapping[str, Any]) -> Opened:
        """The state of the client with the policy and the transport for this command and these options.

        Raises:
            BadRequestException: `WRONG_OPTION`.
        """
        if wrong := wrong_call_option(options, self._CALL_OPTIONS):
            name, reason = wrong
            raise call_error("WRONG_OPTION", trace_id, f"{name}: {reason}", command=cmd, key=name)
        policy = opened.policies.get(cmd, opened.policy)
        if not options:
            return opened if policy is opened.policy else opened._replace(policy=policy)
        transport = self._transport_for(opened.transport, options, trace_id)
        return opened._replace(policy=policy.with_options(options), transport=transport)

    def _log_retry(self, context: CallContext, call: Call, wait: float) -> None:
        message = "Retrying %s in %d ms after %s"
        self._logger.debug(as_context(context), message, call.cmd, round(wait * 1000), call.code)
