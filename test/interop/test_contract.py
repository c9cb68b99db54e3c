"""This package's clients call services that are built on the published pip-services packages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    InvocationException,
    NotFoundException,
    UnknownException,
)
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context
from pip_services4_data.query import FilterParams, PagingParams
from support.clients import CLIENTS

# These services register commands without a prefix, so they are called with `prefix_commands` off.
WITHOUT_PREFIX = ("azure/commandable_function", "lambda/commandable_function", "google/commandable_function")
WAYS = ("commandable_function", "commandable_controller", "controller")
SERVICES = [f"{provider}/{way}" for provider in CLIENTS for way in WAYS]
# In pip-services4-aws 0.0.1, this controller swallows the errors of its commands.
SWALLOWS_ERRORS = "lambda/commandable_controller"
# In pip-services4-gcp 0.0.1, these send text unquoted, with the content type of HTML.
TEXT_AS_HTML = ("google/commandable_function", "google/commandable_controller")


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Each way of building a service, with each provider."""
    name: str = request.param
    return name


@pytest.fixture
def client(service: str, configs: Mapping[str, ConfigParams]) -> Iterator[Any]:
    """A commandable client of the service."""
    client = CLIENTS[service.partition("/")[0]]("dummies")
    options = ConfigParams.from_tuples("options.prefix_commands", str(service not in WITHOUT_PREFIX))
    client.configure(configs[service].override(options))
    client.open(None)
    yield client
    client.close(None)


@pytest.fixture
def dummy(client: Any, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A dummy that the service has while the test runs."""
    name = request.node.name
    dummy = {"id": f"id of {name}", "key": f"key of {name}", "content": "Größe 5 µm"}
    assert client.call_command("save_dummy", "T", {"dummy": dummy}) == dummy
    yield dummy
    client.call_command("delete_dummy", "T", {"dummy_id": dummy["id"]})


def call_error(client: Any, cmd: str, **params: Any) -> ApplicationException:
    with pytest.raises(ApplicationException) as caught:
        client.call_command(cmd, "T", params)
    assert caught.value.trace_id == "T"
    return caught.value


def test_a_saved_object_is_returned_unchanged(client: Any, dummy: dict[str, str]) -> None:
    """It has text outside ASCII."""
    assert client.call_command("get_dummy", "T", {"dummy_id": dummy["id"]}) == dummy


def test_a_saved_object_is_replaced(client: Any, dummy: dict[str, str]) -> None:
    """The other object has the same id."""
    other = {**dummy, "content": "other"}
    assert client.call_command("save_dummy", "T", {"dummy": other}) == other
    assert client.call_command("get_dummy", "T", {"dummy_id": dummy["id"]}) == other


def test_a_page_of_objects_is_returned(client: Any, dummy: dict[str, str]) -> None:
    """Filter and paging may be objects of pip-services."""
    params = {"filter": FilterParams.from_tuples("key", dummy["key"]), "paging": PagingParams(0, 10, True)}
    assert client.call_command("get_dummies", "T", params) == {"data": [dummy], "total": 1}


def test_a_page_after_the_last_is_empty(client: Any, dummy: dict[str, str]) -> None:
    """It has the total number of objects."""
    params = {"filter": {"key": dummy["key"]}, "paging": {"skip": 1, "take": 1}}
    assert client.call_command("get_dummies", "T", params) == {"data": [], "total": 1}


def test_an_object_is_deleted(client: Any, dummy: dict[str, str]) -> None:
    """After that, the service returns None, which is not an error."""
    assert client.call_command("delete_dummy", "T", {"dummy_id": dummy["id"]}) == dummy
    assert client.call_command("get_dummy", "T", {"dummy_id": dummy["id"]}) is None


@pytest.mark.parametrize("context", ["T9", Context.from_trace_id("T9")], ids=["str", "IContext"])
def test_the_service_receives_the_callers_trace_id(service: str, client: Any, context: Any) -> None:
    """It is a string, whatever the caller's context is."""
    if service in TEXT_AS_HTML:
        with pytest.raises(InvocationException) as caught:
            client.call_command("get_trace_id", context)
        assert (caught.value.code, caught.value.trace_id) == ("DESERIALIZATION_FAILED", "T9")
        return
    assert client.call_command("get_trace_id", context) == "T9"


def test_text_is_not_converted(service: str, client: Any) -> None:
    """Text that looks like a number stays text. Commands on Google send a number instead."""
    assert client.call_command("divide", "T", {"by": 2}) == (5 if service in TEXT_AS_HTML else "5")


def test_a_list_is_decoded(service: str, client: Any) -> None:
    """Commands on Azure encode it twice. The client decodes it once, like the published client."""
    twice = service in ("azure/commandable_function", "azure/commandable_controller")
    assert client.call_command("get_keys", "T") == ('["a", "b"]' if twice else ["a", "b"])


def test_a_not_found_error_is_restored(service: str, client: Any) -> None:
    """On Azure and Google it is complete, and its status is that of the body. On Lambda it has class and message."""
    if service == SWALLOWS_ERRORS:
        assert client.call_command("get_required_dummy", "T", {"dummy_id": "none"}) is None
        return
    error = call_error(client, "get_required_dummy", dummy_id="none")
    assert type(error) is NotFoundException
    assert (error.status, error.message) == (404, "There is no dummy none")
    if not service.startswith("lambda"):
        assert error.code == "NO_DUMMY"
        assert error.details.get_as_string("id") == "none"
    else:
        assert error.code == "FUNCTION_ERROR"


def test_invalid_parameters_are_a_bad_request(service: str, client: Any) -> None:
    """The error of the schema names the parameter."""
    if service == SWALLOWS_ERRORS:
        assert client.call_command("get_dummy", "T") is None
        return
    error = call_error(client, "get_dummy")
    assert type(error) is BadRequestException
    assert error.status == 400
    assert "dummy_id must not be null" in error.message
    assert error.code == ("FUNCTION_ERROR" if service.startswith("lambda") else "INVALID_DATA")


def test_an_unexpected_error_of_the_service_is_raised(service: str, client: Any) -> None:
    """Commands send it. Explicit actions over HTTP leave it to the host, whose response has no text."""
    if service == SWALLOWS_ERRORS:
        assert client.call_command("divide", "T", {"by": 0}) is None
        return
    error = call_error(client, "divide", by=0)
    assert type(error) is InvocationException
    assert error.status == 500
    handled_by_the_host = service in ("azure/controller", "google/controller")
    code = "FUNCTION_ERROR" if service.startswith("lambda") else "EXEC_FAILED"
    assert error.code == ("CALL_FAILED" if handled_by_the_host else code)
    assert ("division" in error.message) is not handled_by_the_host


def test_a_result_that_json_cannot_represent_is_an_error(service: str, client: Any) -> None:
    """Commands on Azure send 400 and `{}`, and those on Google Python's message. Others fail."""
    error = call_error(client, "get_lock")
    commands_on_azure = ("azure/commandable_function", "azure/commandable_controller")
    elsewhere = UnknownException if service in TEXT_AS_HTML else InvocationException
    assert type(error) is (BadRequestException if service in commands_on_azure else elsewhere)


def test_an_unknown_command_is_an_error(service: str, client: Any) -> None:
    """Azure's host hides the message of the service. On Google it is not an error, but a response with status 200."""
    if service.startswith("google"):
        response = client.call_command("nothing", "T")
        assert (response["code"], response["status"], response["category"]) == ("NO_ACTION", 400, "BadRequest")
        return
    error = call_error(client, "nothing")
    if service.startswith("azure"):
        assert (type(error), error.status, error.code) == (InvocationException, 500, "CALL_FAILED")
    else:
        assert (type(error), error.status) == (BadRequestException, 400)
        assert "nothing was not found" in error.message


@pytest.mark.parametrize("service", [service for service in SERVICES if service not in WITHOUT_PREFIX], indirect=True)
def test_controllers_need_the_prefix(service: str, configs: Mapping[str, ConfigParams]) -> None:
    """Without a prefix, controllers find no command. This is the reason for the option's default."""
    client = CLIENTS[service.partition("/")[0]]("dummies")
    client.configure(configs[service].override(ConfigParams.from_tuples("options.prefix_commands", "false")))
    client.open(None)
    if service.startswith("google"):
        assert client.call_command("get_trace_id", "T")["code"] == "NO_ACTION"
    else:
        call_error(client, "get_trace_id")
    client.close(None)
