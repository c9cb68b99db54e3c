"""botocore's `Stubber` answers in place of the Lambda client's `_lambda`."""

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
    """Ends by checking that each answer that was given was asked for."""
    with Stubber(client._lambda) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def answer(body: bytes, **more: Any) -> dict[str, Any]:
    return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(body), len(body)), **more}


def test_the_answer_that_was_given(client: Any, stubber: Stubber) -> None:
    """The call gets it, and its parameters are compared with those expected."""
    payload = json.dumps({"id": "1", "cmd": "dummies.get", "trace_id": "T"}).encode()
    stubber.add_response(
        "invoke",
        answer(b'{"id": "1"}'),
        {"FunctionName": ARN, "InvocationType": "RequestResponse", "Payload": BytesOfJson(payload)},
    )
    assert client.call_command("get", "T", {"id": "1"}) == {"id": "1"}


class BytesOfJson(bytes):
    """Equal to the same JSON, however it is written."""

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and json.loads(self) == json.loads(other)


def test_a_payload_without_more(client: Any, stubber: Stubber) -> None:
    """An answer may leave out all but what the test needs."""
    stubber.add_response("invoke", {"Payload": StreamingBody(io.BytesIO(b"5"), 1)})
    assert client._call("get", "T") == 5


def test_one_way(client: Any, stubber: Stubber) -> None:
    """An `Event` may be stubbed without a payload."""
    expected = {"FunctionName": ARN, "InvocationType": "Event", "Payload": ANY}
    stubber.add_response("invoke", {"StatusCode": 202}, expected)
    assert client.call_one_way("get", "T") is None


def test_a_function_error(client: Any, stubber: Stubber) -> None:
    """It is restored as the function's would be."""
    body = b'{"errorMessage": "none", "errorType": "NotFoundException"}'
    stubber.add_response("invoke", answer(body, FunctionError="Unhandled"))
    assert type(failure(client)) is NotFoundException


def test_an_api_error(client: Any, stubber: Stubber) -> None:
    """`add_client_error` counts as Lambda's own: a refusal is sent again, the last one is raised."""
    for _ in range(2):
        stubber.add_client_error("invoke", "TooManyRequestsException", "slower", 429)
    error = failure(client)
    assert type(error) is InvocationException
    assert error.code == "TOO_MANY_REQUESTS"
    assert error.status == 429
