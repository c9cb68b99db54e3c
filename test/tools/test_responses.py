"""`responses` replaces the transport of the Azure client's session."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import responses
from pip_services4_commons.errors import ConnectionException, NotFoundException
from requests.exceptions import ReadTimeout
from responses.matchers import header_matcher
from support.clients import AUTH_CODE, failure, open_client

URL = "https://shop.azurewebsites.net"
FUNCTION = f"{URL}/api/dummies"


@pytest.fixture
def mock() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def test_a_call_gets_the_registered_response(mock: responses.RequestsMock) -> None:
    """The request of the call can be inspected: method, URL, key and payload."""
    mock.post(FUNCTION, json={"id": "1"}, match=[header_matcher({"x-functions-key": AUTH_CODE})])
    with open_client("azure", URL) as client:
        assert client.call_command("get", "T", {"id": "1"}) == {"id": "1"}
    sent = json.loads(mock.calls[0].request.body or "")
    assert sent == {"id": "1", "cmd": "dummies.get", "trace_id": "T"}


def test_a_registered_error_is_restored(mock: responses.RequestsMock) -> None:
    """It is restored like the error of a function."""
    mock.post(FUNCTION, status=404, json={"category": "NotFound", "code": "NO_DUMMY", "message": "none"})
    with open_client("azure", URL) as client:
        error = failure(client)
    assert type(error) is NotFoundException
    assert error.code == "NO_DUMMY"


def test_a_rejected_call_is_retried_with_the_next_response(mock: responses.RequestsMock) -> None:
    """There is one retry."""
    mock.post(FUNCTION, status=429, headers={"Retry-After": "0"})
    mock.post(FUNCTION, json=5)
    with open_client("azure", URL) as client:
        assert client._call("get", "T") == 5
    assert len(mock.calls) == 2


def test_a_registered_exception_is_a_failure_of_the_network(mock: responses.RequestsMock) -> None:
    """The call is not retried, because the function may have run."""
    mock.post(FUNCTION, body=ReadTimeout("too slow"))
    with open_client("azure", URL) as client:
        error = failure(client)
    assert type(error) is ConnectionException
    assert error.code == "CALL_TIMEOUT"
    assert len(mock.calls) == 1


def test_a_call_without_a_registered_response_fails(mock: responses.RequestsMock) -> None:
    """It does not reach the network. The error of `responses` says what was called."""
    with open_client("azure", URL, retries=0) as client:
        error = failure(client)
    assert type(error) is ConnectionException
    assert FUNCTION in error.message
