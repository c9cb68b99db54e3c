"""The message, the details and the notes of an error say which call failed."""

from __future__ import annotations

import traceback
from enum import Enum
from typing import Any

import pytest
from pip_services4_commons.errors import ApplicationException
from support import fault_server as fault
from support.clients import ARN, AUTH_CODE, CLIENTS, config_for, every_kind, open_client
from support.fault_server import FaultServer

provider = every_kind


def error_of(client: Any, params: Any = None) -> ApplicationException:
    with pytest.raises(ApplicationException) as caught:
        client.call_command("get", "T", params)
    return caught.value


def address(provider: str, server: FaultServer) -> str:
    return ARN if provider == "lambda" else config_for(provider, server.url).get_as_string("connection.uri")


@pytest.mark.parametrize(
    "step",
    [
        fault.respond(500, b"<h1>No</h1>"),
        fault.respond(404, b""),
        fault.close_after_read(),
        fault.respond(body=b"<"),
    ],
    ids=["500", "404", "lost", "not JSON"],
)
def test_message_and_details_name_the_call(provider: str, step: fault.Step) -> None:
    """They have the command that was sent, the address without its query, the client's class, and the attempts."""
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        server.default = step
        error = error_of(client)
        where = f"dummies.get at {address(provider, server)}"
    assert error.message.endswith(f"(calling {where}, 1 attempt)")
    assert str(error) == error.message
    key = "function" if provider == "lambda" else "url"
    details = dict(error.details)
    assert details.pop("client").endswith("LambdaClient" if provider == "lambda" else "FunctionClient")
    assert (details["command"], details[key], details["attempts"]) == (
        "dummies.get",
        address(provider, server),
        "1",
    )
    assert where in "".join(traceback.format_exception_only(error))
    assert "Error: " not in error.message or "_" not in error.message.partition("Error: ")[0]


class Commands(str, Enum):  # noqa: UP042 (a StrEnum formats itself as its value)
    GET = "get"


def test_the_command_of_an_enum_is_named_as_it_was_sent(provider: str) -> None:
    """As formatted text, it would be `Commands.GET`."""
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        server.default = fault.respond(500)
        with pytest.raises(ApplicationException) as caught:
            client.call(Commands.GET, "T")
        assert server.requests[0].json()["cmd"] == dict(caught.value.details)["command"] == "get"
    text = "".join(traceback.format_exception_only(caught.value))
    assert "called get at " in text
    assert "(calling get at " in text


def test_a_restored_error_keeps_its_message(provider: str) -> None:
    """A note says which call failed."""
    body: Any = {
        "code": "NO_ORDER",
        "category": "NotFound",
        "status": 404,
        "message": "No such order",
        "details": {"a": 1},
    }
    step = fault.respond(400, body)
    if provider == "lambda":
        step = fault.respond(
            200,
            {"errorType": "NotFoundException", "errorMessage": "No such order"},
            headers={"X-Amz-Function-Error": "Unhandled"},
        )
    with FaultServer() as server, open_client(provider, server.url) as client:
        server.default = step
        error = error_of(client)
    assert error.message == "No such order"
    assert "command" not in (error.details or {})
    assert any("dummies.get" in note for note in error.__notes__)


def test_details_name_the_command_if_nothing_was_sent(provider: str) -> None:
    """The parameters cannot be encoded, an option is wrong, or the client is not open."""
    client: Any
    with FaultServer() as server, open_client(provider, server.url) as client:
        errors = [error_of(client, {"a": object()})]
        with pytest.raises(ApplicationException) as caught:
            client.call_command("get", "T", timout=5)
        errors.append(caught.value)
    errors.append(error_of(client))
    assert [error.code for error in errors] == ["SERIALIZATION_FAILED", "WRONG_OPTION", "NOT_OPENED"]
    assert [error.details["command"].rpartition(".")[2] for error in errors] == ["get"] * 3
    assert server.executions == 0


def test_the_error_counts_all_attempts(provider: str) -> None:
    """Retries are included."""
    with FaultServer() as server, open_client(provider, server.url, retries=2) as client:
        server.default = fault.respond(429)
        error = error_of(client)
    assert (error.details["attempts"], error.message.endswith(", 3 attempts)")) == ("3", True)


def test_the_error_of_a_function_shows_its_type() -> None:
    """Without its type, `division by zero` would say too little."""
    step = fault.respond(
        200,
        {"errorType": "ZeroDivisionError", "errorMessage": "division by zero"},
        headers={"X-Amz-Function-Error": "Unhandled"},
    )
    with FaultServer() as server, open_client("lambda", server.url) as client:
        server.default = step
        error = error_of(client)
    assert error.message == f"ZeroDivisionError: division by zero (calling dummies.get at {ARN}, 1 attempt)"


@pytest.mark.parametrize("key", [AUTH_CODE, ""])
def test_a_401_says_whether_a_key_was_sent(key: str) -> None:
    """It has the name of the header, and does not show the key."""
    with FaultServer() as server:
        server.default = fault.respond(401, b"")
        client = CLIENTS["azure"]("dummies")
        config = config_for("azure", server.url)
        config.put("credential.auth_code", key)
        client.configure(config)
        with client:
            error = error_of(client)
    assert ("its key was sent as x-functions-key" if key else "no key was sent") in error.message
    assert AUTH_CODE not in str(error)


def test_an_unknown_response_body_is_kept(provider: str) -> None:
    """It is masked, and limited to 4 KiB."""
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        server.default = fault.echo(lambda request: (400, {}, f"{AUTH_CODE} {'x' * 9000}".encode()))
        body = error_of(client).details["response_body"]
    assert len(body) <= 4096
    assert body.endswith("xxx")
    assert (AUTH_CODE in body) is (provider != "azure")  # the other clients do not know this secret


def test_the_query_of_the_url_is_not_shown() -> None:
    """It may contain a secret."""
    with FaultServer() as server:
        server.default = fault.respond(500)
        client = CLIENTS["azure"]("dummies")
        client.configure({"connection.uri": f"{server.url}/api/f?tenant=hunter2", "options.retries": 0})
        with client:
            error = error_of(client)
    assert "hunter2" not in f"{error} {error.to_json()} {error.__notes__}"
