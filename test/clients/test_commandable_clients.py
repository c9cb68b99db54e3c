"""What commandable clients add: a service's name before its commands, and instrumentation."""

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
def test_a_command_is_sent_as(provider: str, name: Any, options: dict[str, Any], sent: str) -> None:
    """With the service's name before it, if there is one and the services want it."""
    with FaultServer() as server, open_client(provider, server.url, name, **options) as client:
        client.call_command("get", "T", {"id": "7"})

        assert server.requests[0].json() == {"id": "7", "cmd": sent, "trace_id": "T"}


class Names(str, Enum):  # noqa: UP042 (a StrEnum formats itself as its value)
    """A service's commands, as many write them; a trace id might be one, too."""

    GET = "get"


def test_a_member_of_an_enumeration_is_sent_as_its_value(provider: str) -> None:
    """A `str` with a text of its own: formatted, it is `Names.GET`."""
    counters = RecordingCounters()
    with FaultServer() as server, open_client(provider, server.url) as client:
        client.set_references(references_to(counters=counters))
        client.call_command(Names.GET, Names.GET)

        assert server.requests[0].json() == {"cmd": "dummies.get", "trace_id": "get"}
    assert counters.counts() == {"dummies.get.exec_count": 1, "dummies.get.exec_time": 1}


@pytest.mark.parametrize(
    ("name", "options", "counted"),
    [("dummies", {}, "dummies.get"), ("dummies", {"prefix_commands": False}, "dummies.get"), ("", {}, "get")],
)
def test_a_command_is_observed_as(provider: str, name: str, options: dict[str, Any], counted: str) -> None:
    """With the service's name, whatever is sent."""
    logger, counters, tracer = RecordingLogger(), RecordingCounters(), RecordingTracer()
    with FaultServer() as server, open_client(provider, server.url, name, **options) as client:
        client.set_references(references_to(logger=logger, counters=counters, tracer=tracer))
        client.call_command("get", Context.from_trace_id("T"))

    assert counters.counts() == {f"{counted}.exec_count": 1, f"{counted}.exec_time": 1}
    assert tracer.traces == [("T", counted, "", None)]
    assert f"Executing {counted} method" in logger.messages()


class Broken(RecordingCounters, RecordingTracer):
    """Fails in all that it is told, as one whose collector is down."""

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


class BrokenLogger(RecordingLogger):
    def _write(self, *_: Any) -> None:
        raise UnicodeEncodeError("ascii", "\ud800", 0, 1, "not in this terminal")


def test_observers_that_fail_hide_no_result(provider: str, caplog: pytest.LogCaptureFixture) -> None:
    """A caller that gets their exception would repeat a call that was made. Others are still told."""
    counters, tracer = RecordingCounters(), RecordingTracer()
    references = references_to(logger=BrokenLogger(), counters=Broken(), tracer=Broken())
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


def test_the_flag_is_that_of_the_opening(provider: str) -> None:
    """As all options: configuring an open client changes it from its next opening on."""
    with FaultServer() as server, open_client(provider, server.url, "dummies") as client:
        client.configure(config_for(provider, server.url, prefix_commands=False))
        client.call_command("get", "T")
        client.close("T")
        client.open("T")
        client.call_command("get", "T")

        assert [request.json()["cmd"] for request in server.requests] == ["dummies.get", "get"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_subclass_may_set_the_flag(provider: str) -> None:
    """Which the configuration goes before."""
    base: Any = CLIENTS[provider]

    class Bare(base):
        def __init__(self) -> None:
            super().__init__("dummies")
            self._prefix_commands = False

    with FaultServer() as server:
        for options in ({}, {"prefix_commands": True}, {}):
            client = Bare()
            client.configure(config_for(provider, server.url, **options))
            client.open("T")
            client.call_command("get", "T")
            client.close("T")

        assert [request.json()["cmd"] for request in server.requests] == ["get", "dummies.get", "get"]


def test_a_wrong_flag_is_refused_by_name(provider: str) -> None:
    """When it is configured."""
    with pytest.raises(ConfigException) as caught:
        CLIENTS[provider]("dummies").configure(config_for(provider, "http://127.0.0.1:9", prefix_commands="perhaps"))

    assert caught.value.details["key"] == "options.prefix_commands"


@pytest.mark.defect(12)
def test_an_error_is_raised(provider: str) -> None:
    """And not returned."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        server.script(respond(404))
        with pytest.raises(NotFoundException):
            client.call_command("get", "T")


@pytest.mark.defect(33)
@pytest.mark.parametrize("cmd", ["", None])
@pytest.mark.parametrize("name", ["dummies", ""])
def test_an_empty_command_is_refused(provider: str, name: str, cmd: Any) -> None:
    """A service's name alone is no command; the call is counted as failed."""
    counters = RecordingCounters()
    with FaultServer() as server, open_client(provider, server.url, name) as client:
        client.set_references(references_to(counters=counters))
        with pytest.raises(UnknownException) as caught:
            client.call_command(cmd, "T")

        assert (caught.value.code, caught.value.trace_id) == ("NO_COMMAND", "T")
        assert server.connections == 0
        assert counters.counts()[f"{name}.exec_errors"] == 1


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_subclass_calls_commands_by_methods(provider: str) -> None:
    """As in the documentation of the two classes."""
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


def test_the_bare_call_takes_the_command_as_it_is(provider: str) -> None:
    """`_call` is there for subclasses that know better."""
    with FaultServer() as server, open_client(provider, server.url) as client:
        client._call("other.get", "T")

        assert server.requests[0].json()["cmd"] == "other.get"
