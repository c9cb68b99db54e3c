"""What is true of the clients of all providers: lifecycle, retries, time limits, errors, instrumentation."""

from __future__ import annotations

import json
import math
import socket
import threading
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

import pytest
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    ConfigException,
    ConflictException,
    ConnectionException,
    InvalidStateException,
    InvocationException,
    NotFoundException,
    UnauthorizedException,
    UnknownException,
)
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context
from pip_services4_config.auth import MemoryCredentialStore
from pip_services4_config.connect import MemoryDiscovery
from pip_services4_observability.count import CompositeCounters, LogCounters
from pip_services4_observability.log import CompositeLogger, ConsoleLogger, LogLevel
from pip_services4_observability.trace import CompositeTracer, LogTracer, NullTracer
from pip_services4_rpc.trace import InstrumentTiming
from support.clients import (
    ARN,
    AUTH_CODE,
    AUTH_TOKEN,
    BARE_CLIENTS,
    CLIENTS,
    PROVIDERS,
    config_for,
    every_kind,
    failure,
    open_client,
)
from support.fault_server import (
    Connection,
    FaultServer,
    Step,
    close_after_read,
    refused_port,
    reset_after_read,
    respond,
    response_bytes,
    silent,
    truncated,
)
from support.interrupts import interrupting
from support.recorders import RecordingCounters, RecordingLogger, RecordingTracer, references_to

provider = every_kind

OTHER_PROVIDER = {"azure": "lambda", "lambda": "google", "google": "azure"}


def gate() -> tuple[Step, threading.Event]:
    """A step that sends its response when the event is set."""
    event = threading.Event()

    def act(connection: Connection) -> None:
        event.wait(30)
        connection.send(b"".join(response_bytes(body={"gate": "open"})))

    return Step("gate", act), event


# --- Lifecycle ---


def test_a_client_is_open_from_open_to_close(provider: str) -> None:
    """It is closed before `open` and after `close`."""
    client = BARE_CLIENTS[provider]()
    client.configure(config_for(provider, "http://127.0.0.1:9"))

    assert not client.is_open()
    client.open("T")
    assert client.is_open()
    client.close("T")
    assert not client.is_open()


def test_open_does_not_connect(provider: str) -> None:
    """A service can start while a function that it uses is down."""
    with FaultServer() as server:
        with open_client(provider, server.url):
            pass

        assert server.connections == 0


@pytest.mark.parametrize("size", [0, 8_000, 65_000, 66_000, 300_000, 5_000_000])
def test_parameters_and_results_of_any_size_are_complete(provider: str, size: int) -> None:
    """Two calls use one connection."""
    sent = {"text": "x" * size, "cmd": "dummies.get", "trace_id": "T"}
    with FaultServer() as server, open_client(provider, server.url) as client:
        for _ in range(2):
            assert client.call_command("get", "T", {"text": "x" * size}) == sent  # the server's echo

        assert [json.loads(request.body) for request in server.requests] == [sent] * 2
        assert server.connections == 1


def test_opening_twice_keeps_the_connection(provider: str) -> None:
    """The second `open` does not close the connection of the first."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        client.call_command("get", "T")
        client.open("T")
        client.call_command("get", "T")

        assert (server.executions, server.connections) == (2, 1)


def test_closing_a_closed_client_does_nothing(provider: str) -> None:
    """It may be closed twice, or without having been open."""
    client = BARE_CLIENTS[provider]()
    client.close("T")
    client.configure(config_for(provider, "http://127.0.0.1:9"))
    client.open("T")
    client.close("T")
    client.close(None)

    assert not client.is_open()


@pytest.mark.defect(32)
def test_close_closes_the_connections(provider: str) -> None:
    """The server sees their end."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        client.call_command("get", "T")
        client.close("T")

        server.wait_for(closed=1)


def test_a_closed_client_can_be_opened_again(provider: str) -> None:
    """Each time it makes new connections."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        for _ in range(3):
            client.call_command("get", "T")
            client.close("T")
            client.open("T")
        client.call_command("get", "T")

        assert (server.executions, server.connections) == (4, 4)


@pytest.mark.defect(15)
@pytest.mark.defect(32)
@pytest.mark.parametrize("opened_before", [False, True])
def test_a_call_of_a_closed_client_raises(provider: str, opened_before: bool) -> None:
    """Nothing is sent before the first `open`, nor after a `close`."""
    with FaultServer() as server:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, server.url))
        if opened_before:
            client.open("T")
            client.call_command("get", "T")
            client.close("T")
        error = failure(client)

        assert isinstance(error, InvalidStateException)
        assert (error.code, error.trace_id) == ("NOT_OPENED", "T")
        assert server.executions == opened_before


def test_a_failed_open_leaves_the_client_closed(provider: str) -> None:
    """When its settings are corrected, it opens."""
    client = BARE_CLIENTS[provider]()
    with pytest.raises(ConfigException) as caught:
        client.open("T")
    assert (caught.value.code, caught.value.trace_id) == ("NO_CONNECTION", "T")
    assert not client.is_open()

    client.configure(config_for(provider, "http://127.0.0.1:9"))
    client.open("T")
    assert client.is_open()
    client.close("T")


@pytest.mark.defect(39)
def test_a_new_configuration_takes_effect_at_the_next_open(provider: str) -> None:
    """Until then, calls use the previous configuration."""
    with FaultServer() as first, FaultServer() as second, open_client(provider, first.url) as client:
        client.configure(config_for(provider, second.url))
        client.call_command("get", "T")
        assert (first.executions, second.executions) == (1, 0)

        client.close("T")
        client.open("T")
        client.call_command("get", "T")
        assert (first.executions, second.executions) == (1, 1)


def test_a_new_configuration_replaces_all_options(provider: str) -> None:
    """An option that it does not set has its default value again."""
    with FaultServer() as server:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, server.url, retries=0, prefix_commands=False))
        client.configure(config_for(provider, server.url))
        client.open("T")
        server.script(respond(429))

        assert client.call_command("get", "T")["cmd"] == "dummies.get"
        assert server.executions == 2
        client.close("T")


@pytest.mark.parametrize("options", [{"timeout": -1}, {"retries": "many"}, {"idempotent": "perhaps"}])
def test_configure_names_a_wrong_option(provider: str, options: dict[str, Any]) -> None:
    """`configure` raises, not the first call."""
    (name,) = options
    with pytest.raises(ConfigException) as caught:
        BARE_CLIENTS[provider]().configure(config_for(provider, "http://127.0.0.1:9", **options))

    assert caught.value.code == "WRONG_OPTION"
    assert caught.value.details["key"] == f"options.{name}"


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/api", "127.0.0.1/api", "http://", "http://127.0.0.1:99999/", "http://a b/"]
)
@pytest.mark.defect(16)
def test_open_names_a_wrong_url(provider: str, url: str) -> None:
    """`open` raises, not the first call."""
    client = BARE_CLIENTS[provider]()
    client.configure(ConfigParams.from_tuples("connection.uri", url, "connection.arn", ARN))
    with pytest.raises(ConfigException) as caught:
        client.open("T")

    assert caught.value.code in ("WRONG_PROTOCOL", "WRONG_URI")
    assert caught.value.details["key"] == "connection.uri"
    assert "connection.uri" in caught.value.message


# --- References ---


def discovered(provider: str, url: str) -> tuple[ConfigParams, Any]:
    """A configuration with a discovery key and a store key, and the references that contain their values."""
    flat = {key.partition(".")[2]: value for key, value in config_for(provider, url).items()}
    secret = ("auth_code", "auth_token", "access_id", "access_key", "session_token")
    discovery = {f"fn.{key}": value for key, value in flat.items() if key not in secret}
    store = {f"fn.{key}": value for key, value in flat.items() if key in secret}
    return (
        ConfigParams.from_tuples("connection.discovery_key", "fn", "credential.store_key", "fn"),
        references_to(
            discovery=MemoryDiscovery(ConfigParams(discovery)),
            credential_store=MemoryCredentialStore(ConfigParams(store)),
        ),
    )


@pytest.mark.parametrize("references_first", [False, True])
def test_configure_and_set_references_work_in_either_order(provider: str, references_first: bool) -> None:
    """Both are read when the client opens."""
    with FaultServer() as server:
        config, references = discovered(provider, server.url)
        client = CLIENTS[provider]("dummies")
        if references_first:
            client.set_references(references)
        client.configure(config)
        if not references_first:
            client.set_references(references)
        client.open("T")
        client.call_command("get", "T")
        client.close("T")

        headers = server.requests[0].headers
        authorization = {"lambda": "AKIDACCESSKEYIDHUNTER", "google": f"Bearer {AUTH_TOKEN}"}
        if provider == "azure":
            assert headers["x-functions-key"] == AUTH_CODE
        else:
            assert authorization[provider] in headers["authorization"]


@pytest.mark.defect(37)
@pytest.mark.parametrize("referenced", [False, True])
def test_open_names_an_unknown_discovery_key(provider: str, referenced: bool) -> None:
    """There is no discovery service, or it does not know the key."""
    client = BARE_CLIENTS[provider]()
    client.configure(ConfigParams.from_tuples("connection.discovery_key", "fn"))
    if referenced:
        client.set_references(references_to(discovery=MemoryDiscovery()))
    with pytest.raises(ConfigException) as caught:
        client.open("T")

    assert (caught.value.code, caught.value.trace_id) == ("NO_CONNECTION", "T")
    assert caught.value.details["key"] == "connection.discovery_key"


@pytest.mark.defect(38)
@pytest.mark.parametrize("referenced", [False, True])
def test_open_names_an_unknown_store_key(provider: str, referenced: bool) -> None:
    """A call must not be made without the credential."""
    client = BARE_CLIENTS[provider]()
    client.configure(
        ConfigParams.from_tuples(
            *("connection.uri", "http://127.0.0.1:9/api/f", "connection.arn", ARN, "credential.store_key", "fn")
        )
    )
    if referenced:
        client.set_references(references_to(credential_store=MemoryCredentialStore()))
    with pytest.raises(ConfigException) as caught:
        client.open("T")

    assert caught.value.code == "NO_CREDENTIALS"
    assert caught.value.details["key"] == "credential.store_key"


# --- Context, command and parameters ---

CONTEXTS = {
    "str": "T",
    "trace id": Context.from_trace_id("T"),
    "values": Context.from_tuples("trace_id", "T", "user", "u1"),
}


@pytest.mark.defect(14)
@pytest.mark.defect(19)
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_the_trace_id_is_sent_as_a_string(provider: str, context: Any) -> None:
    """Nothing else of the context is sent."""
    with FaultServer() as server:
        client = BARE_CLIENTS[provider]()
        client.configure(config_for(provider, server.url))
        client.open(context)
        client._call("get", context, {"id": "7"})
        client.close(context)

        assert server.requests[0].json() == {"id": "7", "cmd": "get", "trace_id": "T"}


@pytest.mark.defect(14)
@pytest.mark.defect(20)
@pytest.mark.parametrize("context", CONTEXTS.values(), ids=CONTEXTS)
def test_an_exception_has_the_trace_id_as_a_string(provider: str, context: Any) -> None:
    """The exception can therefore be serialized."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        server.script(respond(400))
        error = failure(client, context=context)

        assert error.trace_id == "T"
        assert json.loads(json.dumps(error.to_json()))["trace_id"] == "T"


def test_a_call_without_a_context_gets_a_new_trace_id(provider: str) -> None:
    """Its exception has the same trace id. The next call gets another."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        client.call_command("get", None)
        server.script(respond(400))
        error = failure(client, context=None)

        first, second = (request.json()["trace_id"] for request in server.requests)
        assert all((first, second))
        assert first != second
        assert error.trace_id == second


@pytest.mark.defect(33)
@pytest.mark.parametrize("cmd", ["", None])
def test_a_call_without_a_command_is_rejected(provider: str, cmd: Any) -> None:
    """Nothing is sent."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        error = failure(client, cmd)

        assert isinstance(error, UnknownException)
        assert (error.code, error.trace_id) == ("NO_COMMAND", "T")
        assert server.connections == 0


@pytest.mark.defect(17)
@pytest.mark.defect(33)
@pytest.mark.defect(41)
@pytest.mark.parametrize(
    "params", [{"price": math.nan}, {"lock": threading.Lock()}, ["id"], "id"], ids=["nan", "lock", "list", "text"]
)
def test_parameters_that_json_cannot_represent_are_rejected(provider: str, params: Any) -> None:
    """Nothing is sent."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        error = failure(client, params=params)

        assert isinstance(error, BadRequestException)
        assert (error.code, error.status, error.trace_id) == ("SERIALIZATION_FAILED", 400, "T")
        assert server.connections == 0


class ReadOnlyDict(dict[str, Any]):
    """Raises when it is copied deeply or changed."""

    def __setitem__(self, key: str, value: Any) -> None:
        raise AssertionError("changed")

    def __deepcopy__(self, memo: Any) -> Any:
        raise AssertionError("copied deeply")


@pytest.mark.defect(41)
def test_the_callers_parameters_are_not_changed(provider: str) -> None:
    """They are not changed by a retry either."""
    params = ReadOnlyDict(order=ReadOnlyDict(id="7", text="ž"))
    with FaultServer() as server, open_client(provider, server.url) as client:
        server.script(respond(429))
        client.call_command("get", "T", params)

        assert params == {"order": {"id": "7", "text": "ž"}}
        assert [request.json()["order"] for request in server.requests] == [params["order"]] * 2


# --- Retries ---


@pytest.fixture
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the waits between attempts short, for tests of many calls."""
    monkeypatch.setattr("pip_services4_serverless._rules.attempts.FIRST_BACKOFF", 0.001)


@pytest.mark.defect(7)
def test_a_refused_connection_is_retried(provider: str) -> None:
    """The function may be starting. In this test it accepts connections at the second attempt."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))  # bound but not listening, so it refuses connections
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"

        class Starting(RecordingLogger):
            def _write(self, level: LogLevel, context: Any, error: Any, message: Any) -> None:
                super()._write(level, context, error, message)
                if "Retrying" in message:
                    listener.listen()

        logger = Starting()
        with open_client(provider, url, retries=1, timeout=1000) as client:
            client.set_references(references_to(logger=logger))
            error = failure(client)

        assert error.code == "CALL_TIMEOUT"  # the second attempt connected, but got no response
        assert any("CANNOT_CONNECT" in message for message in logger.messages())


@pytest.mark.usefixtures("short_waits")
@pytest.mark.defect(4)
@pytest.mark.parametrize(("options", "attempts"), [({}, 4), ({"retries": 0}, 1), ({"retries": 2}, 3)], ids=str)
def test_the_number_of_attempts_follows_options_retries(provider: str, options: dict[str, Any], attempts: int) -> None:
    """There are three retries by default. The error is that of the last attempt."""
    with FaultServer() as server, open_client(provider, server.url, **options) as client:
        server.default = respond(429)
        error = failure(client)

        assert (error.code, error.status) == ("TOO_MANY_REQUESTS", 429)
        assert server.executions == attempts


@pytest.mark.timing
@pytest.mark.defect(5)
def test_the_wait_does_not_depend_on_the_timeout(provider: str) -> None:
    """The first wait is 100 ms at most."""
    with FaultServer() as server, open_client(provider, server.url, timeout=20000, retries=1) as client:
        server.script(respond(429))
        client.call_command("get", "T")

        first, second = server.requests
        assert second.time - first.time < 1


@pytest.mark.timing
@pytest.mark.defect(6)
@pytest.mark.defect(26)
def test_the_client_waits_as_long_as_retry_after_says(provider: str) -> None:
    """`Retry-After` is in seconds."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        server.script(respond(429, headers={"Retry-After": "1"}))
        client.call_command("get", "T")

        first, second = server.requests
        assert 1 <= second.time - first.time < 2


@pytest.mark.timing
@pytest.mark.parametrize(
    ("retry_after", "options"), [("21", {}), ("5", {"total_timeout": 2000}), ("9999999999999", {})], ids=str
)
def test_a_too_long_retry_after_fails_immediately(provider: str, retry_after: str, options: dict[str, Any]) -> None:
    """The error is that of the response with this header."""
    with FaultServer() as server, open_client(provider, server.url, **options) as client:
        server.default = respond(503, headers={"Retry-After": retry_after})
        start = monotonic()
        error = failure(client)

        assert (error.code, error.status) == ("CALL_FAILED", 503)
        assert server.executions == 1
        assert monotonic() - start < 1


# --- Time ---


@pytest.mark.timing
@pytest.mark.defect(3)
@pytest.mark.defect(4)
@pytest.mark.defect(23)
def test_a_server_that_never_responds_takes_one_timeout(provider: str) -> None:
    """With `options.timeout` 500 the call ends within a second, and the function is executed once."""
    with FaultServer() as server, open_client(provider, server.url, timeout=500) as client:
        server.default = silent()
        start = monotonic()
        error = failure(client)
        seconds = monotonic() - start

        assert isinstance(error, ConnectionException)
        assert (error.code, error.status, error.trace_id) == ("CALL_TIMEOUT", 504, "T")
        assert 0.5 <= seconds < 1
        assert (server.steps.total(), server.executions) == (1, 1)


@pytest.mark.timing
def test_the_total_timeout_limits_one_attempt(provider: str) -> None:
    """`options.timeout` would allow the attempt more time."""
    with FaultServer() as server, open_client(provider, server.url, total_timeout=300) as client:
        server.default = silent()
        start = monotonic()

        assert failure(client).code == "CALL_TIMEOUT"
        assert 0.3 <= monotonic() - start < 0.8


@pytest.mark.timing
def test_the_total_timeout_limits_all_attempts(provider: str) -> None:
    """It does so even if many retries are left."""
    with FaultServer() as server, open_client(provider, server.url, total_timeout=1500, retries=1000) as client:
        # The second wait would end too late. If the time ended during an attempt, the error would be CALL_TIMEOUT.
        server.default = respond(429, headers={"Retry-After": "1"})
        start = monotonic()

        assert failure(client).code == "TOO_MANY_REQUESTS"
        assert monotonic() - start < 1.5
        assert server.executions > 1


@pytest.mark.timing
@pytest.mark.defect(25)
def test_a_connect_timeout_below_one_second_works(provider: str) -> None:
    """It is not rounded to whole seconds."""
    with FaultServer() as server, open_client(provider, server.url, connect_timeout=300) as client:
        assert client.call_command("get", "T")["cmd"] == "dummies.get"


def test_close_ends_a_wait_between_attempts(provider: str) -> None:
    """The waiting call raises that the client was closed."""
    with (
        FaultServer() as server,
        open_client(provider, server.url) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        server.default = respond(429, headers={"Retry-After": "15"})
        call = pool.submit(failure, client)
        server.wait_for(executions=1)
        client.close("T")
        error = call.result(timeout=10)  # less than the wait

        assert isinstance(error, InvalidStateException)
        assert (error.code, error.trace_id) == ("NOT_OPENED", "T")
        assert error.__cause__.code == "TOO_MANY_REQUESTS"
        assert server.executions == 1


def test_an_attempt_in_flight_ends_normally_after_close(provider: str) -> None:
    """The function has been called, so its result is returned."""
    step, event = gate()
    with (
        FaultServer() as server,
        open_client(provider, server.url) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        server.script(step)
        call = pool.submit(client.call_command, "get", "T")
        server.wait_for(executions=1)
        client.close("T")
        event.set()

        assert call.result(timeout=30) == {"gate": "open"}
        server.wait_for(closed=1)


def test_an_interrupt_ends_a_call(provider: str) -> None:
    """It is raised immediately, and the connection of the call is closed."""

    with (
        interrupting() as interrupt,
        FaultServer() as server,
        open_client(provider, server.url, idempotent=True, timeout=60_000) as client,
    ):
        server.script(Step("interrupt", lambda _: interrupt()))
        with pytest.raises(KeyboardInterrupt):
            client.call_command("get", "T")

        server.wait_for(closed=1)
        assert client.call_command("get", "T")["cmd"] == "dummies.get"
        assert (server.executions, server.connections) == (2, 2)


@pytest.mark.timing
def test_an_interrupt_ends_a_wait_between_attempts(provider: str) -> None:
    """Ctrl-C does not wait until the time of `Retry-After` is over."""

    class Interrupting(RecordingLogger):
        def _write(self, level: LogLevel, context: Any, error: Any, message: Any) -> None:
            if "Retrying" in message:
                threading.Timer(0.05, interrupt).start()

    with interrupting() as interrupt, FaultServer() as server, open_client(provider, server.url) as client:
        client.set_references(references_to(logger=Interrupting()))
        server.default = respond(429, headers={"Retry-After": "15"})
        start = monotonic()
        with pytest.raises(KeyboardInterrupt):
            client.call_command("get", "T")

        assert monotonic() - start < 5


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_programming_error_is_raised_unchanged(provider: str) -> None:
    """It is not a failure of the call, and is not retried."""
    attempts = []
    base: Any = BARE_CLIENTS[provider]

    class Broken(base):
        def _send(self, *args: Any) -> Any:
            attempts.append(args)
            raise AttributeError("a typing error")

    client = Broken()
    client.configure(config_for(provider, "http://127.0.0.1:9", idempotent=True))
    client.open("T")
    with pytest.raises(AttributeError, match="a typing error"):
        client._call("get", "T")
    client.close("T")

    assert len(attempts) == 1


# --- Errors ---


@pytest.mark.defect(9)
@pytest.mark.defect(11)
@pytest.mark.defect(26)
@pytest.mark.parametrize(
    ("status", "exception", "code"),
    [
        (302, InvocationException, "UNEXPECTED_REDIRECT"),
        (400, BadRequestException, "BAD_REQUEST"),
        (401, UnauthorizedException, "UNAUTHORIZED"),
        (403, UnauthorizedException, "UNAUTHORIZED"),
        (404, NotFoundException, "NOT_FOUND"),
        (409, ConflictException, "CONFLICT"),
        (413, BadRequestException, "PAYLOAD_TOO_LARGE"),
        (418, InvocationException, "CALL_FAILED"),
        (429, InvocationException, "TOO_MANY_REQUESTS"),
        (500, InvocationException, "CALL_FAILED"),
        (502, InvocationException, "CALL_FAILED"),
        (503, InvocationException, "CALL_FAILED"),
        (504, InvocationException, "CALL_FAILED"),
        (599, InvocationException, "CALL_FAILED"),
    ],
)
def test_each_status_has_its_exception(
    provider: str, status: int, exception: type[ApplicationException], code: str
) -> None:
    """The body does not matter, unless it describes an error of pip-services."""
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        for body in (b"", b"<html>Bad gateway</html>", b"[1]", b'"text"', b"{}", b"\xff\xfe"):
            server.script(respond(status, body, content_type="text/html"))
            error = failure(client)

            assert type(error) is exception
            assert (error.code, error.status, error.trace_id) == (code, status, "T")


@pytest.mark.defect(7)
@pytest.mark.parametrize(
    ("step", "code", "status"),
    [
        (reset_after_read(), "NO_RESPONSE", 502),
        (close_after_read(), "NO_RESPONSE", 502),
        (truncated(body={"id": "7"}), "NO_RESPONSE", 502),
        (silent(), "CALL_TIMEOUT", 504),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_lost_response_raises_a_connection_exception(provider: str, step: Step, code: str, status: int) -> None:
    """Its cause is the exception of the provider's library."""
    timeout = 300 if step.name == "silent" else 10_000
    with FaultServer() as server, open_client(provider, server.url, timeout=timeout) as client:
        server.script(step)
        error = failure(client)

        assert type(error) is ConnectionException
        assert (error.code, error.status, error.trace_id) == (code, status, "T")
        assert error.__cause__ is not None
        assert not isinstance(error.__cause__, ApplicationException)
        json.dumps(error.to_json())


@pytest.mark.defect(7)
def test_a_refused_connection_raises_a_connection_exception(provider: str) -> None:
    """Its cause is the exception of the provider's library."""
    with refused_port() as port, open_client(provider, f"http://127.0.0.1:{port}", retries=0) as client:
        error = failure(client)

        assert type(error) is ConnectionException
        assert (error.code, error.status, error.trace_id) == ("CANNOT_CONNECT", 503, "T")
        assert error.__cause__ is not None


# --- Instrumentation ---


@pytest.mark.defect(36)
def test_a_call_is_counted_once(provider: str) -> None:
    """Two clients in the process share their counters, and `set_references` is called twice."""
    counters, other = RecordingCounters(), RecordingCounters()
    with (
        FaultServer() as server,
        open_client(provider, server.url) as first,
        open_client(OTHER_PROVIDER[provider], server.url) as second,
        open_client(provider, server.url) as elsewhere,
    ):
        for client in (first, second, first):
            client.set_references(references_to(counters=counters))
        elsewhere.set_references(references_to(counters=other))
        first.call_command("get", "T")

        assert counters.counts() == {"dummies.get.exec_count": 1, "dummies.get.exec_time": 1}
        assert other.counts() == {}

        second.call_command("get", "T")
        assert counters.counts() == {"dummies.get.exec_count": 2, "dummies.get.exec_time": 2}


@pytest.mark.defect(36)
def test_a_client_without_references_is_not_counted(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The components of pip-services would share their counters and tracers with all others."""
    monkeypatch.setattr(CompositeCounters, "_counters", [])
    monkeypatch.setattr(CompositeTracer, "_TRACERS", [])
    counters, tracer = RecordingCounters(), RecordingTracer()
    references = references_to(counters=counters, tracer=tracer)
    CompositeCounters(references), CompositeTracer(references)
    with FaultServer() as server, open_client(provider, server.url) as client:
        client.call_command("get", "T")

    assert (counters.counts(), tracer.traces) == ({}, [])


@pytest.mark.defect(35)
def test_a_call_is_traced_once(provider: str) -> None:
    """The tracer is from the references, and gets the trace id of the call."""
    tracer = RecordingTracer()
    with FaultServer() as server, open_client(provider, server.url) as client:
        for _ in range(2):
            client.set_references(references_to(tracer=tracer))
        client.call_command("get", "T")

        assert tracer.traces == [("T", "dummies.get", "", None)]


def test_a_failed_call_is_counted_traced_and_logged_once(provider: str) -> None:
    """The number of attempts does not matter."""
    logger, counters, tracer = RecordingLogger(), RecordingCounters(), RecordingTracer()
    with FaultServer() as server, open_client(provider, server.url, retries=1) as client:
        client.set_references(references_to(logger=logger, counters=counters, tracer=tracer))
        server.default = respond(429)
        with pytest.raises(InvocationException) as caught:
            client.call_command("get", "T")

        error = caught.value
        assert server.executions == 2
        assert counters.counts() == {
            "dummies.get.exec_count": 1,
            "dummies.get.exec_time": 1,
            "dummies.get.exec_errors": 1,
        }
        assert tracer.traces == [("T", "dummies.get", "", error)]
        assert [record for record in logger.records if record[0] == LogLevel.Error] == [
            (LogLevel.Error, "T", "Failed to call dummies.get method", error)
        ]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_interrupted_call_is_counted_as_failed(provider: str) -> None:
    """The measurement of its time ends too."""
    counters = RecordingCounters()
    with interrupting() as interrupt, FaultServer() as server, open_client(provider, server.url) as client:
        client.set_references(references_to(counters=counters))
        server.script(Step("interrupt", lambda _: interrupt()))
        with pytest.raises(KeyboardInterrupt):
            client.call_command("get", "T")

        assert counters.counts()["dummies.get.exec_errors"] == 1


def test_instrument_returns_a_timing_of_pip_services(provider: str) -> None:
    """Subclasses end it, with the error if there is one."""
    counters, tracer = RecordingCounters(), RecordingTracer()
    client = BARE_CLIENTS[provider]()
    client.set_references(references_to(counters=counters, tracer=tracer))
    error = ValueError("no")
    timing = client._instrument("T", "orders.get")
    timing.end_timing(error)
    client._instrument(None, "orders.get").end_timing()

    assert isinstance(timing, InstrumentTiming)
    assert counters.counts() == {"orders.get.exec_count": 2, "orders.get.exec_time": 2, "orders.get.exec_errors": 1}
    assert tracer.traces == [("T", "orders.get", "", error), ("", "orders.get", "", None)]


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # pip-services causes it on 3.12
@pytest.mark.parametrize(
    "context",
    ["T", None, *CONTEXTS.values(), Context.from_tuples("user", "u1")],
    ids=["text", "none", *CONTEXTS, "without a trace"],
)
def test_the_observers_of_pip_services_work(
    provider: str, context: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ConsoleLogger, LogCounters, LogTracer and NullTracer, with a success, a failure and a lost response."""
    # They keep their loggers on the class.
    monkeypatch.setattr(LogTracer, "_LogTracer__LOGGER", CompositeLogger())
    monkeypatch.setattr(LogCounters, "_LogCounters__logger", CompositeLogger())
    logger, counters, tracer = ConsoleLogger(), LogCounters(), LogTracer()
    logger.set_level(LogLevel.Trace)
    for component in (counters, tracer):
        component.set_references(references_to(logger=logger))
    references = references_to(logger=logger, counters=counters, tracer=tracer)
    references.put(NullTracer(), NullTracer())
    with FaultServer() as server, open_client(provider, server.url) as client:
        client.set_references(references)
        client.call_command("get", context)
        server.script(respond(404), reset_after_read())
        for exception in (NotFoundException, ConnectionException):
            with pytest.raises(exception):
                client.call_command("get", context)

    out, err = capsys.readouterr()
    assert out.count("Executing dummies.get method") == 3
    assert "Executed dummies.get" in out
    assert err.count("Failed to call dummies.get method: ") == 2


# --- Subclasses ---


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_subclass_can_set_its_own_defaults(provider: str) -> None:
    """It sets them in `__init__`. The configuration takes precedence, and one without options restores them."""
    base: Any = BARE_CLIENTS[provider]

    class ShortTimeout(base):
        def __init__(self) -> None:
            super().__init__()
            self._timeout = 300
            self._retries = 0

    client = ShortTimeout()
    with FaultServer() as server:
        for options, timeout in (({}, 300), ({"timeout": 700}, 700), ({}, 300)):
            client.configure(config_for(provider, server.url, **options))
            assert client._timeout == timeout
        client.open("T")
        server.script(silent(), respond(429))

        assert failure(client).code == "CALL_TIMEOUT"
        assert failure(client).code == "TOO_MANY_REQUESTS"
        assert server.executions == 2
        client.close("T")


def test_the_timeouts_have_their_default_values() -> None:
    """Connecting may take ten seconds, and a response of Lambda a minute."""
    fields = "_connect_timeout", "_timeout"

    assert [getattr(BARE_CLIENTS["azure"](), field) for field in fields] == [10000, 10000]
    assert [getattr(BARE_CLIENTS["lambda"](), field) for field in fields] == [10000, 60000]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_subclass_of_the_reference_pages_works(provider: str) -> None:
    """It has an interface, and does its own instrumentation."""

    class IMyClient(ABC):
        @abstractmethod
        def get_data(self, context: Any, data_id: str) -> Any: ...

    base: Any = BARE_CLIENTS[provider]

    class MyClient(base, IMyClient):
        def get_data(self, context: Any, data_id: str) -> Any:
            timing = self._instrument(context, "myclient.get_data")
            result = self._call("get_data", context, {"id": data_id})
            timing.end_timing()
            return result

    counters = RecordingCounters()
    client = MyClient()
    with FaultServer() as server:
        client.configure(config_for(provider, server.url))
        client.set_references(references_to(counters=counters))
        client.open("123")

        assert client.get_data("123", "1") == {"id": "1", "cmd": "get_data", "trace_id": "123"}
        assert counters.counts()["myclient.get_data.exec_count"] == 1
        client.close("123")


def test_the_name_of_a_client_is_optional(provider: str) -> None:
    """Only commandable clients use it."""
    for client in (BARE_CLIENTS[provider](), BARE_CLIENTS[provider]("orders")):
        with FaultServer() as server:
            client.configure(config_for(provider, server.url))
            client.open("T")

            assert client._call("get", "T")["cmd"] == "get"
            client.close("T")
