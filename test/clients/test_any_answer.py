"""Whatever bytes come back, a call ends with a value or an `ApplicationException`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ApplicationException
from support import fault_server as server
from support.clients import BASES, KINDS, Kind, open_client
from support.fault_server import FaultServer, Step

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
json_text = st.text() | st.text(st.characters())  # JSON may write half a pair of surrogates, which is not UTF-8
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
# From what nothing but chance would make of it to what is nearly right.
bodies = st.one_of(
    st.binary(max_size=200),
    json_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.dictionaries(error_fields, json_values).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.text().map(lambda text: text.encode("utf-16", "surrogatepass")),
)


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[FaultServer, dict[str, Any]]]:
    """A server and an open client of each provider."""
    with ExitStack() as resources:
        far_side = resources.enter_context(FaultServer(keep=0))
        options: dict[str, Any] = {"retries": 0, "timeout": 300, "connect_timeout": 2000}
        clients = {name: resources.enter_context(open_client(name, far_side.url, **options)) for name in BASES}
        yield far_side, clients


def is_whole(error: ApplicationException) -> bool:
    """All that a caller or a logger looks at is there, and of its kind."""
    kinds = isinstance(error.code, str), isinstance(error.status, int), isinstance(error.trace_id, str)
    return all(kinds) and isinstance(error.message, str) and bool(json.dumps(error.to_json(), default=str))


def check(both: tuple[FaultServer, dict[str, Any]], step: Step) -> None:
    far_side, clients = both
    far_side.default = step
    for client in clients.values():
        executed = far_side.executions
        try:
            client._call("act", "test")
        except ApplicationException as error:
            assert is_whole(error)  # noqa: PT017 - it may not be raised at all
        # Not executed at all where the last answer left a connection that the server was just closing.
        assert far_side.executions <= executed + 1


@QUICK
@given(
    status=st.integers(200, 599) | st.integers(100, 999),
    headers=st.lists(st.tuples(header_names, header_text), max_size=4),
    body=bodies,
    chunk_size=st.sampled_from([0, 0, 0, 1, 7]),
)
def test_any_answer_is_a_value_or_an_application_exception(
    both: tuple[FaultServer, dict[str, Any]],
    status: int,
    headers: list[tuple[str, str]],
    body: bytes,
    chunk_size: int,
) -> None:
    """Any status, headers and body."""
    check(both, server.respond(status, body, headers=headers, chunk_size=chunk_size, close=True))


@QUICK
@given(status=st.integers(300, 599), name=error_names, message=json_text, code=json_values)
def test_any_error_of_the_provider_is_an_application_exception(
    both: tuple[FaultServer, dict[str, Any]], status: int, name: str, message: str, code: Any
) -> None:
    """Whatever name it has in its header, and whatever its body says."""
    body = {"message": message, "Message": message, "__type": name, "code": code}
    headers = {"x-amzn-errortype": name}
    check(both, server.respond(status, json.dumps(body).encode(), headers=headers, close=True))


@pytest.mark.parametrize("name", ["message", "Message", "errorMessage", "code", "__type"])
def test_half_a_pair_of_surrogates_in_an_error(both: tuple[FaultServer, dict[str, Any]], name: str) -> None:
    """It is valid JSON, and nothing that UTF-8 can write."""
    check(both, server.respond(500, b'{"%b":"\\ud800"}' % name.encode()))


@QUICK
@given(data=st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: b"HTTP/1.1 200 OK\r\n" + data))
def test_any_bytes_are_a_value_or_an_application_exception(
    both: tuple[FaultServer, dict[str, Any]], data: bytes
) -> None:
    """Bytes that are no HTTP, or begin as such."""
    check(both, server.raw(data, then="close"))


@QUICK
@given(body=bodies, function_error=st.sampled_from(["Unhandled", "Handled", "x"]), status=st.sampled_from([200, 202]))
def test_any_function_error_is_an_application_exception(
    both: tuple[FaultServer, dict[str, Any]], body: bytes, function_error: str, status: int
) -> None:
    """Of a Lambda `FunctionError` nothing can be relied upon but that it is one."""
    far_side, clients = both
    far_side.default = server.respond(status, body, headers={"X-Amz-Function-Error": function_error})
    with pytest.raises(ApplicationException) as caught:
        clients["lambda"]._call("act", "test")
    assert is_whole(caught.value)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind == "lambda"], ids=lambda kind: kind.id)
@pytest.mark.parametrize("function_error", ["", " ", "Handled"])
def test_any_value_of_the_header_is_a_function_error(kind: Kind, function_error: str) -> None:
    """To both kinds of clients: a body that was taken for a result would be a wrong one."""
    with FaultServer() as far_side, open_client(kind, far_side.url) as client:
        far_side.default = server.respond(200, {"a": 1}, headers={"X-Amz-Function-Error": function_error})
        with pytest.raises(ApplicationException) as caught:
            client._call("act", "test")
    assert caught.value.code == "FUNCTION_ERROR"
