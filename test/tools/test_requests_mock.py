"""`requests-mock` replaces the transport of the Azure client's session."""

from __future__ import annotations

import pytest
import requests_mock
from pip_services4_commons.errors import ConnectionException, UnauthorizedException
from requests.exceptions import ConnectTimeout
from support.clients import AUTH_CODE, failure, open_client

URL = "https://shop.azurewebsites.net"
FUNCTION = f"{URL}/api/dummies"


def test_the_answer_that_was_registered(requests_mock: requests_mock.Mocker) -> None:
    """The call gets it, and what it sent can be read."""
    requests_mock.post(FUNCTION, json=["a"])
    with open_client("azure", URL) as client:
        assert client.call_command("list", "T", {"take": 1}) == ["a"]
    request = requests_mock.last_request
    assert request
    assert request.json() == {"take": 1, "cmd": "dummies.list", "trace_id": "T"}
    assert request.headers["x-functions-key"] == AUTH_CODE


def test_it_works_on_one_session_too() -> None:
    """An adapter can be mounted on `_client`, the client's session."""
    adapter = requests_mock.Adapter()
    adapter.register_uri("POST", FUNCTION, text="plain", headers={"Content-Type": "text/plain"})
    with open_client("azure", URL) as client:
        client._client.mount(URL, adapter)
        assert client._call("get", "T") == "plain"


def test_an_error_that_was_registered(requests_mock: requests_mock.Mocker) -> None:
    """The status is mapped as the front end's would be."""
    requests_mock.post(FUNCTION, status_code=401)
    with open_client("azure", URL) as client:
        assert type(failure(client)) is UnauthorizedException


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (2, 3)])
def test_an_exception_that_was_registered(requests_mock: requests_mock.Mocker, retries: int, attempts: int) -> None:
    """It counts as the same failure of the network would: what was not sent is sent again."""
    requests_mock.post(FUNCTION, exc=ConnectTimeout)
    with open_client("azure", URL, retries=retries) as client:
        error = failure(client)
    assert type(error) is ConnectionException
    assert error.code == "CANNOT_CONNECT"
    assert requests_mock.call_count == attempts
