"""Whatever bytes the client receives, a call returns a value or raises an `ApplicationException`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ApplicationException
from support import fault_server as fault
from support.clients import BASES, KINDS, Kind, open_client
from support.fault_server import FaultServer, Step

ServerAndClients = tuple[FaultServer, dict[str, Any]]
QUICK = settings(max_examples=60, deadline=None, derandomize=True)

header_text = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20)
header_names = st.sampled_from(
    [
        "Content-Type",
        "Content-Encoding",
        "Retry-After",
        "Transfer-Encoding",
        "X-Amz-Function-Error",
        "x-amzn-errortype",
        "Location",
        "Set-Cookie",
        "Connection",
        "X-Any",
    ]
)
json_text = st.text() | st.text(st.characters())  # JSON can hold a lone surrogate, which UTF-8 cannot
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | json_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(json_text, inner, max_size=4),
    max_leaves=8,
)
error_names = header_text | st.sampled_from(["ServiceException:http://x", "a:b:c", "404", "#", ":", "TooManyRequests"])
error_fields = st.sampled_from(
    [
        "code",
        "category",
        "status",
        "message",
        "details",
        "trace_id",
        "cause",
        "stack_trace",
        "stack_stace",
        "errorMessage",
        "errorType",
        "stackTrace",
        "trace",
        "Message",
        "__type",
    ]
)
# From random bytes to bodies that are almost valid.
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.dictionaries(error_fields, json_values).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.text().map(lambda text: text.encode("utf-16", "surrogatepass")),
)


@pytest.fixture(scope="module")
def server_and_clients() -> Iterator[ServerAndClients]:
    """A server and an open client of each provider."""
    with ExitStack() as resources:
        server = resources.enter_context(FaultServer(keep=0))
        options: dict[str, Any] = {"retries": 0, "timeout": 30_000, "connect_timeout": 30_000}
        clients = {name: resources.enter_context(open_client(name, server.url, **options)) for name in BASES}
        yield server, clients


def is_complete(error: ApplicationException) -> bool:
    """Whether the error has everything that a caller or a logger reads, with the right types."""
    kinds = isinstance(error.code, str), isinstance(error.status, int), isinstance(error.trace_id, str)
    return all(kinds) and isinstance(error.message, str) and bool(json.dumps(error.to_json(), default=str))


def check(server_and_clients: ServerAndClients, step: Step) -> None:
    server, clients = server_and_clients
    server.default = step
    for client in clients.values():
        executed = server.executions
        try:
            client._call("act", "test")
        except ApplicationException as error:
            assert is_complete(error)  # noqa: PT017 - the call need not raise
        # There is no execution if the server was just closing the connection of the last response.
        assert server.executions <= executed + 1


@QUICK
@given(
    status=st.integers(200, 599) | st.integers(100, 999),
    headers=st.lists(st.tuples(header_names, header_text), max_size=4),
    body=bodies,
    chunk_size=st.sampled_from([0, 0, 0, 1, 7]),
)
def test_any_response_gives_a_value_or_an_application_exception(
    server_and_clients: ServerAndClients, status: int, headers: list[tuple[str, str]], body: bytes, chunk_size: int
) -> None:
    """The status, headers and body are random."""
    check(server_and_clients, fault.respond(status, body, headers=headers, chunk_size=chunk_size, close=True))


@QUICK
@given(status=st.integers(300, 599), name=error_names, message=json_text, code=json_values)
def test_any_error_of_a_provider_gives_an_application_exception(
    server_and_clients: ServerAndClients, status: int, name: str, message: str, code: Any
) -> None:
    """Its name in the header and its body are random."""
    body = {"message": message, "Message": message, "__type": name, "code": code}
    headers = {"x-amzn-errortype": name}
    check(server_and_clients, fault.respond(status, json.dumps(body).encode(), headers=headers, close=True))


@pytest.mark.parametrize("name", ["message", "Message", "errorMessage", "code", "__type"])
def test_an_error_with_a_lone_surrogate_gives_an_application_exception(
    server_and_clients: ServerAndClients, name: str
) -> None:
    """A lone surrogate is valid in JSON, but cannot be encoded as UTF-8."""
    check(server_and_clients, fault.respond(500, b'{"%b":"\\ud800"}' % name.encode()))


@QUICK
@given(data=st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"HTTP/1.1 200 OK\r\n" + data))
def test_any_bytes_give_a_value_or_an_application_exception(server_and_clients: ServerAndClients, data: bytes) -> None:
    """They are not HTTP, or only their beginning is."""
    check(server_and_clients, fault.raw(data, then="close"))


@QUICK
@given(body=bodies, function_error=st.sampled_from(["Unhandled", "Handled", "x"]), status=st.sampled_from([200, 202]))
def test_any_function_error_gives_an_application_exception(
    server_and_clients: ServerAndClients, body: bytes, function_error: str, status: int
) -> None:
    """Only the header `X-Amz-Function-Error` is certain. The body is random."""
    server, clients = server_and_clients
    server.default = fault.respond(status, body, headers={"X-Amz-Function-Error": function_error})
    with pytest.raises(ApplicationException) as caught:
        clients["lambda"]._call("act", "test")
    assert is_complete(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind == "lambda"], ids=lambda kind: kind.id)
@pytest.mark.parametrize("function_error", ["", " ", "Handled"])
def test_any_value_of_the_header_is_a_function_error(kind: Kind, function_error: str) -> None:
    """Blocking and asynchronous clients raise an error. The body is not a result."""
    with FaultServer() as server, open_client(kind, server.url) as client:
        server.default = fault.respond(200, {"a": 1}, headers={"X-Amz-Function-Error": function_error})
        with pytest.raises(ApplicationException) as caught:
            client._call("act", "test")
    assert caught.value.code == "FUNCTION_ERROR"
