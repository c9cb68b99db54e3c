"""`responses` replaces what the Azure client's session sends."""

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
def rsps() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as rsps:
        yield rsps


def test_the_answer_that_was_registered(rsps: responses.RequestsMock) -> None:
    """The call gets it, and what it sent can be read: method, URL, key and payload."""
    rsps.post(FUNCTION, json={"id": "1"}, match=[header_matcher({"x-functions-key": AUTH_CODE})])
    with open_client("azure", URL) as client:
        assert client.call_command("get", "T", {"id": "1"}) == {"id": "1"}
    sent = json.loads(rsps.calls[0].request.body or "")
    assert sent == {"id": "1", "cmd": "dummies.get", "trace_id": "T"}


def test_an_error_that_was_registered(rsps: responses.RequestsMock) -> None:
    """It is restored as a function's would be."""
    rsps.post(FUNCTION, status=404, json={"category": "NotFound", "code": "NO_DUMMY", "message": "none"})
    with open_client("azure", URL) as client:
        error = failure(client)
    assert type(error) is NotFoundException
    assert error.code == "NO_DUMMY"


def test_answers_in_a_row(rsps: responses.RequestsMock) -> None:
    """Attempts are counted: a refusal is sent again, once."""
    rsps.post(FUNCTION, status=429, headers={"Retry-After": "0"})
    rsps.post(FUNCTION, json=5)
    with open_client("azure", URL) as client:
        assert client._call("get", "T") == 5
    assert len(rsps.calls) == 2


def test_an_exception_that_was_registered(rsps: responses.RequestsMock) -> None:
    """It ends the call as the same failure of the network would, and is not sent again."""
    rsps.post(FUNCTION, body=ReadTimeout("too slow"))
    with open_client("azure", URL) as client:
        error = failure(client)
    assert type(error) is ConnectionException
    assert error.code == "CALL_TIMEOUT"
    assert len(rsps.calls) == 1


def test_what_is_not_registered(rsps: responses.RequestsMock) -> None:
    """A call that no test has foreseen does not reach the network: the tool's own error says what was called."""
    with open_client("azure", URL, retries=0) as client:
        error = failure(client)
    assert type(error) is ConnectionException
    assert FUNCTION in error.message
