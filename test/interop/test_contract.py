"""Services built on the published pip-services packages keep the Dummy contract, called by this package's clients."""

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

# Those that register bare names are called with `prefix_commands` off.
BARE = ("azure/commandable_function", "lambda/commandable_function", "google/commandable_function")
WAYS = ("commandable_function", "commandable_controller", "controller")
SERVICES = [f"{provider}/{way}" for provider in CLIENTS for way in WAYS]
# In pip-services4-aws 0.0.1 this one swallows its commands' errors.
SWALLOWS = "lambda/commandable_controller"
# In pip-services4-gcp 0.0.1 these send text as it is, as a page of HTML.
TEXT_AS_HTML = ("google/commandable_function", "google/commandable_controller")


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    """Each way to build a service, on each provider."""
    name: str = request.param
    return name


@pytest.fixture
def client(service: str, configs: Mapping[str, ConfigParams]) -> Iterator[Any]:
    """A commandable client of the service."""
    client = CLIENTS[service.partition("/")[0]]("dummies")
    options = ConfigParams.from_tuples("options.prefix_commands", str(service not in BARE))
    client.configure(configs[service].override(options))
    client.open(None)
    yield client
    client.close(None)


@pytest.fixture
def dummy(client: Any, request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """A dummy that the service keeps as long as the test runs."""
    name = request.node.name
    dummy = {"id": f"id of {name}", "key": f"key of {name}", "content": "Größe 5 µm"}
    assert client.call_command("save_dummy", "T", {"dummy": dummy}) == dummy
    yield dummy
    client.call_command("delete_dummy", "T", {"dummy_id": dummy["id"]})


def error_of(client: Any, cmd: str, **params: Any) -> ApplicationException:
    with pytest.raises(ApplicationException) as caught:
        client.call_command(cmd, "T", params)
    assert caught.value.trace_id == "T"
    return caught.value


def test_an_object_comes_back_as_it_was_saved(client: Any, dummy: dict[str, str]) -> None:
    """Text beyond ASCII too."""
    assert client.call_command("get_dummy", "T", {"dummy_id": dummy["id"]}) == dummy


def test_an_object_is_replaced(client: Any, dummy: dict[str, str]) -> None:
    """By another with its id."""
    other = {**dummy, "content": "other"}
    assert client.call_command("save_dummy", "T", {"dummy": other}) == other
    assert client.call_command("get_dummy", "T", {"dummy_id": dummy["id"]}) == other


def test_a_page_of_objects(client: Any, dummy: dict[str, str]) -> None:
    """Filter and paging may be pip-services' own objects."""
    params = {"filter": FilterParams.from_tuples("key", dummy["key"]), "paging": PagingParams(0, 10, True)}
    assert client.call_command("get_dummies", "T", params) == {"data": [dummy], "total": 1}


def test_a_page_beyond_the_last(client: Any, dummy: dict[str, str]) -> None:
    """Has no objects, and their number all the same."""
    params = {"filter": {"key": dummy["key"]}, "paging": {"skip": 1, "take": 1}}
    assert client.call_command("get_dummies", "T", params) == {"data": [], "total": 1}


def test_an_object_is_deleted(client: Any, dummy: dict[str, str]) -> None:
    """Afterwards there is none, and None is no error."""
    assert client.call_command("delete_dummy", "T", {"dummy_id": dummy["id"]}) == dummy
    assert client.call_command("get_dummy", "T", {"dummy_id": dummy["id"]}) is None


@pytest.mark.parametrize("context", ["T9", Context.from_trace_id("T9")], ids=["str", "IContext"])
def test_the_service_sees_the_callers_trace_id(service: str, client: Any, context: Any) -> None:
    """As a string, whatever the caller's context is."""
    if service in TEXT_AS_HTML:
        with pytest.raises(InvocationException) as caught:
            client.call_command("get_trace_id", context)
        assert (caught.value.code, caught.value.trace_id) == ("DESERIALIZATION_FAILED", "T9")
        return
    assert client.call_command("get_trace_id", context) == "T9"


def test_text_stays_text(service: str, client: Any) -> None:
    """As the services send it, even where it looks like a number; commands on Google send a number then."""
    assert client.call_command("divide", "T", {"by": 2}) == (5 if service in TEXT_AS_HTML else "5")


def test_a_list(service: str, client: Any) -> None:
    """Commands on Azure encode it twice, and the client decodes once, as its predecessor did."""
    twice = service in ("azure/commandable_function", "azure/commandable_controller")
    assert client.call_command("get_keys", "T") == ('["a", "b"]' if twice else ["a", "b"])


def test_not_found(service: str, client: Any) -> None:
    """Restored whole over HTTP, on Azure with the body's own status, not HTTP's; by class and message on Lambda."""
    if service == SWALLOWS:
        assert client.call_command("get_required_dummy", "T", {"dummy_id": "none"}) is None
        return
    error = error_of(client, "get_required_dummy", dummy_id="none")
    assert type(error) is NotFoundException
    assert (error.status, error.message) == (404, "There is no dummy none")
    if not service.startswith("lambda"):
        assert error.code == "NO_DUMMY"
        assert error.details.get_as_string("id") == "none"
    else:
        assert error.code == "FUNCTION_ERROR"


def test_parameters_that_are_not_valid(service: str, client: Any) -> None:
    """The schema's complaint is a bad request that names the parameter."""
    if service == SWALLOWS:
        assert client.call_command("get_dummy", "T") is None
        return
    error = error_of(client, "get_dummy")
    assert type(error) is BadRequestException
    assert error.status == 400
    assert "dummy_id must not be null" in error.message
    assert error.code == ("FUNCTION_ERROR" if service.startswith("lambda") else "INVALID_DATA")


def test_what_the_service_did_not_foresee(service: str, client: Any) -> None:
    """Commands tell the caller; an explicit action over HTTP leaves it to the host, whose answer has no text."""
    if service == SWALLOWS:
        assert client.call_command("divide", "T", {"by": 0}) is None
        return
    error = error_of(client, "divide", by=0)
    assert type(error) is InvocationException
    assert error.status == 500
    left_to_the_host = service in ("azure/controller", "google/controller")
    told = "FUNCTION_ERROR" if service.startswith("lambda") else "EXEC_FAILED"
    assert error.code == ("CALL_FAILED" if left_to_the_host else told)
    assert ("division" in error.message) is not left_to_the_host


def test_a_result_that_is_no_json(service: str, client: Any) -> None:
    """Is an error: 400 and `{}` from commands on Azure, what Python said from those on Google, else a failure."""
    error = error_of(client, "get_lock")
    commands_on_azure = ("azure/commandable_function", "azure/commandable_controller")
    elsewhere = UnknownException if service in TEXT_AS_HTML else InvocationException
    assert type(error) is (BadRequestException if service in commands_on_azure else elsewhere)


def test_a_command_that_does_not_exist(service: str, client: Any) -> None:
    """Azure's host hides what the service says; Lambda tells; on Google it is an answer like others, with 200."""
    if service.startswith("google"):
        answer = client.call_command("nothing", "T")
        assert (answer["code"], answer["status"], answer["category"]) == ("NO_ACTION", 400, "BadRequest")
        return
    error = error_of(client, "nothing")
    if service.startswith("azure"):
        assert (type(error), error.status, error.code) == (InvocationException, 500, "CALL_FAILED")
    else:
        assert (type(error), error.status) == (BadRequestException, 400)
        assert "nothing was not found" in error.message


@pytest.mark.parametrize("service", [service for service in SERVICES if service not in BARE], indirect=True)
def test_controllers_need_the_prefix(service: str, configs: Mapping[str, ConfigParams]) -> None:
    """Without it no controller's command is found: the reason for the option's default."""
    client = CLIENTS[service.partition("/")[0]]("dummies")
    client.configure(configs[service].override(ConfigParams.from_tuples("options.prefix_commands", "false")))
    client.open(None)
    if service.startswith("google"):
        assert client.call_command("get_trace_id", "T")["code"] == "NO_ACTION"
    else:
        error_of(client, "get_trace_id")
    client.close(None)
