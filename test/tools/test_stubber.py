"""botocore's `Stubber` replaces the responses of the Lambda client's `_lambda`."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.response import StreamingBody
from botocore.stub import ANY, Stubber
from pip_services4_commons.errors import InvocationException, NotFoundException
from support.clients import ARN, failure, open_client

URL = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture
def client() -> Iterator[Any]:
    with open_client("lambda", URL, retries=1) as client:
        yield client


@pytest.fixture
def stubber(client: Any) -> Iterator[Stubber]:
    """At its end, it checks that each added response was used."""
    with Stubber(client._lambda) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def response(body: bytes, **more: Any) -> dict[str, Any]:
    return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body)), **more}


def test_a_call_gets_the_added_response(client: Any, stubber: Stubber) -> None:
    """The stubber compares the parameters with the expected ones."""
    payload = json.dumps({"id": "1", "cmd": "dummies.get", "trace_id": "T"}).encode()
    stubber.add_response(
        "invoke",
        response(b'{"id": "1"}'),
        {"FunctionName": ARN, "InvocationType": "RequestResponse", "Payload": BytesOfJson(payload)},
    )
    assert client.call_command("get", "T", {"id": "1"}) == {"id": "1"}


class BytesOfJson(bytes):
    """Equal to bytes with the same JSON value."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and json.loads(self) == json.loads(other)


def test_an_added_response_needs_only_a_payload(client: Any, stubber: Stubber) -> None:
    """Other fields may be left out."""
    stubber.add_response("invoke", {"Payload": StreamingBody(io.BytesIO(b"5"), 1)})
    assert client._call("get", "T") == 5


def test_a_one_way_call_needs_no_payload(client: Any, stubber: Stubber) -> None:
    """The invocation type is `Event`."""
    expected = {"FunctionName": ARN, "InvocationType": "Event", "Payload": ANY}
    stubber.add_response("invoke", {"StatusCode": 202}, expected)
    assert client.call_one_way("get", "T") is None


def test_a_function_error_is_restored(client: Any, stubber: Stubber) -> None:
    """It is restored like the error of a real function."""
    body = b'{"errorMessage": "none", "errorType": "NotFoundException"}'
    stubber.add_response("invoke", response(body, FunctionError="Unhandled"))
    assert type(failure(client)) is NotFoundException


def test_a_client_error_is_retried_and_raised(client: Any, stubber: Stubber) -> None:
    """`add_client_error` has the same effect as an error of Lambda. The last one is raised."""
    for _ in range(2):
        stubber.add_client_error("invoke", "TooManyRequestsException", "slower", 429)
    error = failure(client)
    assert type(error) is InvocationException
    assert error.code == "TOO_MANY_REQUESTS"
    assert error.status == 429
