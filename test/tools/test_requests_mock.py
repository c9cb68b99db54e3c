"""`requests-mock` replaces the transport of the Azure client's session."""

from __future__ import annotations

import pytest
import requests_mock
from pip_services4_commons.errors import ConnectionException, UnauthorizedException
from requests.exceptions import ConnectTimeout
from support.clients import AUTH_CODE, failure, open_client

URL = "https://shop.azurewebsites.net"
FUNCTION = f"{URL}/api/dummies"


def test_a_call_gets_the_registered_response(requests_mock: requests_mock.Mocker) -> None:
    """The request of the call can be inspected."""
    requests_mock.post(FUNCTION, json=["a"])
    with open_client("azure", URL) as client:
        assert client.call_command("list", "T", {"take": 1}) == ["a"]
    request = requests_mock.last_request
    assert request
    assert request.json() == {"take": 1, "cmd": "dummies.list", "trace_id": "T"}
    assert request.headers["x-functions-key"] == AUTH_CODE


def test_an_adapter_can_be_mounted_on_one_client() -> None:
    """`_client` is the client's session."""
    adapter = requests_mock.Adapter()
    adapter.register_uri("POST", FUNCTION, text="plain", headers={"Content-Type": "text/plain"})
    with open_client("azure", URL) as client:
        client._client.mount(URL, adapter)
        assert client._call("get", "T") == "plain"


def test_a_registered_status_raises_its_exception(requests_mock: requests_mock.Mocker) -> None:
    """It has the same exception as without the mock."""
    requests_mock.post(FUNCTION, status_code=401)
    with open_client("azure", URL) as client:
        assert type(failure(client)) is UnauthorizedException


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (2, 3)])
def test_a_registered_exception_is_a_failure_of_the_network(
    requests_mock: requests_mock.Mocker, retries: int, attempts: int
) -> None:
    """The call is retried, because the request was not sent."""
    requests_mock.post(FUNCTION, exc=ConnectTimeout)
    with open_client("azure", URL, retries=retries) as client:
        error = failure(client)
    assert type(error) is ConnectionException
    assert error.code == "CANNOT_CONNECT"
    assert requests_mock.call_count == attempts
