"""What commandable clients add: the service's name before its commands, and instrumentation."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from pip_services4_commons.errors import ConfigException, NotFoundException, UnknownException
from pip_services4_components.context import Context
from pip_services4_components.refer import Descriptor
from support.clients import CLIENTS, PROVIDERS, config_for, every_kind, open_client
from support.fault_server import FaultServer, respond
from support.recorders import RecordingCounters, RecordingLogger, RecordingTracer, references_to

provider = every_kind


@pytest.mark.defect(13)
@pytest.mark.parametrize(
    ("name", "options", "sent"),
    [
        ("dummies", {}, "dummies.get"),
        ("dummies", {"prefix_commands": True}, "dummies.get"),
        ("dummies", {"prefix_commands": "yes"}, "dummies.get"),
        ("dummies", {"prefix_commands": False}, "get"),
        ("dummies", {"prefix_commands": "0"}, "get"),
        ("", {}, "get"),
        (None, {}, "get"),
        (None, {"prefix_commands": False}, "get"),
    ],
)
def test_a_command_is_sent_with_the_services_name(provider: str, name: Any, options: dict[str, Any], sent: str) -> None:
    """The name is left out if there is none, or if the option says so."""
    with FaultServer() as server, open_client(provider, server.url, name, **options) as client:
        client.call_command("get", "T", {"id": "7"})

        assert server.requests[0].json() == {"id": "7", "cmd": sent, "trace_id": "T"}


class Commands(str, Enum):  # noqa: UP042 (a StrEnum formats itself as its value)
    """The commands of a service, in the usual form."""

    GET = "get"


def test_an_enum_member_is_sent_as_its_value(provider: str) -> None:
    """As formatted text, it would be `Commands.GET`. The trace id may be a member too."""
    counters = RecordingCounters()
    with FaultServer() as server, open_client(provider, server.url) as client:
        client.set_references(references_to(counters=counters))
        client.call_command(Commands.GET, Commands.GET)

        assert server.requests[0].json() == {"cmd": "dummies.get", "trace_id": "get"}
    assert counters.counts() == {"dummies.get.exec_count": 1, "dummies.get.exec_time": 1}


@pytest.mark.parametrize(
    ("name", "options", "cmd"),
    [("dummies", {}, "dummies.get"), ("dummies", {"prefix_commands": False}, "dummies.get"), ("", {}, "get")],
)
def test_a_command_is_counted_with_the_services_name(
    provider: str, name: str, options: dict[str, Any], cmd: str
) -> None:
    """It is also traced and logged with this name, whatever the option says."""
    logger, counters, tracer = RecordingLogger(), RecordingCounters(), RecordingTracer()
    with FaultServer() as server, open_client(provider, server.url, name, **options) as client:
        client.set_references(references_to(logger=logger, counters=counters, tracer=tracer))
        client.call_command("get", Context.from_trace_id("T"))

    assert counters.counts() == {f"{cmd}.exec_count": 1, f"{cmd}.exec_time": 1}
    assert tracer.traces == [("T", cmd, "", None)]
    assert f"Executing {cmd} method" in logger.messages()


class FailingObserver(RecordingCounters, RecordingTracer):
    """Raises in each method, as if its collector were down."""

    def __init__(self) -> None:
        RecordingCounters.__init__(self)
        RecordingTracer.__init__(self)

    def increment_one(self, name: str) -> None:
        raise OSError("the collector is down")

    def end_timing(self, *_: Any) -> None:
        raise OSError("the collector is down")

    def trace(self, *_: Any) -> None:
        raise OSError("the collector is down")

    def failure(self, *_: Any) -> None:
        raise OSError("the collector is down")


class FailingLogger(RecordingLogger):
    def _write(self, *_: Any) -> None:
        raise UnicodeEncodeError("ascii", "\ud800", 0, 1, "not in this terminal")


def test_failing_observers_do_not_hide_the_result(provider: str, caplog: pytest.LogCaptureFixture) -> None:
    """With their exception, a caller would repeat a call that succeeded. The other observers work."""
    counters, tracer = RecordingCounters(), RecordingTracer()
    references = references_to(logger=FailingLogger(), counters=FailingObserver(), tracer=FailingObserver())
    references.put(Descriptor("test", "counters", "memory", "second", "1.0"), counters)
    references.put(Descriptor("test", "tracer", "memory", "second", "1.0"), tracer)
    with FaultServer() as server:
        client = CLIENTS[provider]("dummies")
        client.configure(config_for(provider, server.url))
        client.set_references(references)
        client.open("T")
        assert client.call_command("get", "T") == {"cmd": "dummies.get", "trace_id": "T"}
        server.default = respond(404)
        with pytest.raises(NotFoundException):
            client.call_command("get", "T")
        client.close("T")

    assert counters.counts() == {"dummies.get.exec_count": 2, "dummies.get.exec_time": 2, "dummies.get.exec_errors": 1}
    assert [error and error.code for *_, error in tracer.traces] == [None, "NOT_FOUND"]  # type: ignore[attr-defined]
    assert {record.name for record in caplog.records} >= {"pip_services4_serverless"}
    assert "the collector is down" in caplog.text


def test_prefix_commands_takes_effect_at_the_next_open(provider: str) -> None:
    """All options do so."""
    with FaultServer() as server, open_client(provider, server.url, "dummies") as client:
        client.configure(config_for(provider, server.url, prefix_commands=False))
        client.call_command("get", "T")
        client.close("T")
        client.open("T")
        client.call_command("get", "T")

        assert [request.json()["cmd"] for request in server.requests] == ["dummies.get", "get"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_subclass_can_set_prefix_commands(provider: str) -> None:
    """The configuration takes precedence."""
    base: Any = CLIENTS[provider]

    class WithoutPrefix(base):
        def __init__(self) -> None:
            super().__init__("dummies")
            self._prefix_commands = False

    with FaultServer() as server:
        for options in ({}, {"prefix_commands": True}, {}):
            client = WithoutPrefix()
            client.configure(config_for(provider, server.url, **options))
            client.open("T")
            client.call_command("get", "T")
            client.close("T")

        assert [request.json()["cmd"] for request in server.requests] == ["get", "dummies.get", "get"]


def test_configure_names_a_wrong_prefix_commands(provider: str) -> None:
    """`configure` raises, not the first call."""
    with pytest.raises(ConfigException) as caught:
        CLIENTS[provider]("dummies").configure(config_for(provider, "http://127.0.0.1:9", prefix_commands="perhaps"))

    assert caught.value.details["key"] == "options.prefix_commands"


@pytest.mark.defect(12)
def test_an_error_is_raised(provider: str) -> None:
    """It is not returned."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        server.script(respond(404))
        with pytest.raises(NotFoundException):
            client.call_command("get", "T")


@pytest.mark.defect(33)
@pytest.mark.parametrize("cmd", ["", None])
@pytest.mark.parametrize("name", ["dummies", ""])
def test_an_empty_command_is_rejected(provider: str, name: str, cmd: Any) -> None:
    """The service's name alone is not a command. The call is counted as failed."""
    counters = RecordingCounters()
    with FaultServer() as server, open_client(provider, server.url, name) as client:
        client.set_references(references_to(counters=counters))
        with pytest.raises(UnknownException) as caught:
            client.call_command(cmd, "T")

        assert (caught.value.code, caught.value.trace_id) == ("NO_COMMAND", "T")
        assert server.connections == 0
        assert counters.counts()[f"{name}.exec_errors"] == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_methods_of_a_subclass_call_commands(provider: str) -> None:
    """The documentation of both classes shows this."""
    base: Any = CLIENTS[provider]

    class OrdersClient(base):
        def __init__(self) -> None:
            super().__init__("orders")

        def get_order(self, context: Any, order_id: str) -> Any:
            return self.call_command("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    with FaultServer() as server:
        client.configure(config_for(provider, server.url))
        client.open("123")

        assert client.get_order("123", "7") == {"order_id": "7", "cmd": "orders.get_order", "trace_id": "123"}
        client.close("123")


def test_call_sends_the_command_without_a_prefix(provider: str) -> None:
    """`_call` is for subclasses that add the service's name themselves."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        client._call("other.get", "T")

        assert server.requests[0].json()["cmd"] == "other.get"
