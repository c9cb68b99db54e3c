"""The business logic of the Dummy service. A team writes it once, for any function that runs it."""

import json
import threading
from typing import Any

from pip_services4_commons.convert import TypeCode
from pip_services4_commons.errors import NotFoundException
from pip_services4_components.build import Factory
from pip_services4_components.context import ContextResolver
from pip_services4_components.exec import Parameters
from pip_services4_components.refer import Descriptor
from pip_services4_data.query import DataPage
from pip_services4_data.validate import ObjectSchema
from pip_services4_rpc.commands import Command, CommandSet, ICommandable

SERVICE = Descriptor("dummies", "service", "*", "*", "1.0")


class Dummy:
    """A data object like those of pip-services' microservices: plain attributes, and a dict of them."""

    def __init__(self, id: str, key: str, content: str = "") -> None:  # noqa: A002 (the field's name on the wire)
        self.id = id
        self.key = key
        self.content = content

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)


class DummyService(ICommandable):
    """Keeps dummies in memory."""

    def __init__(self) -> None:
        self._dummies: dict[str, Dummy] = {}

    def get_page(self, context: Any, key: str | None, skip: int, take: int) -> DataPage:
        found = [dummy for dummy in self._dummies.values() if key in (None, dummy.key)]
        return DataPage(found[skip : skip + take], len(found))

    def get_by_id(self, context: Any, dummy_id: str) -> Dummy | None:
        return self._dummies.get(dummy_id)

    def get_required(self, context: Any, dummy_id: str) -> Dummy:
        if dummy_id not in self._dummies:
            error = NotFoundException(trace_id_in(context), "NO_DUMMY", f"There is no dummy {dummy_id}")
            raise error.with_details("id", dummy_id)
        return self._dummies[dummy_id]

    def save(self, context: Any, dummy: dict[str, Any]) -> Dummy:
        self._dummies[dummy["id"]] = Dummy(**dummy)
        return self._dummies[dummy["id"]]

    def delete(self, context: Any, dummy_id: str) -> Dummy | None:
        return self._dummies.pop(dummy_id, None)

    def divide(self, context: Any, by: int) -> str:
        return str(10 // by)

    def get_command_set(self) -> CommandSet:
        commands = CommandSet()
        by_id = ObjectSchema().with_required_property("dummy_id", TypeCode.String)
        one = ObjectSchema().with_required_property("dummy", ObjectSchema().with_required_property("id", None))
        for name, schema, action in (
            ("get_dummies", None, lambda ctx, args: self.get_page(ctx, *page_of(args))),
            ("get_dummy", by_id, lambda ctx, args: self.get_by_id(ctx, args["dummy_id"])),
            ("get_required_dummy", by_id, lambda ctx, args: self.get_required(ctx, args["dummy_id"])),
            ("save_dummy", one, lambda ctx, args: self.save(ctx, dict(args["dummy"]))),
            ("delete_dummy", by_id, lambda ctx, args: self.delete(ctx, args["dummy_id"])),
            ("divide", None, lambda ctx, args: self.divide(ctx, args["by"])),
            ("get_trace_id", None, lambda ctx, args: trace_id_in(ctx)),
            ("get_keys", None, lambda ctx, args: ["a", "b"]),
            ("get_lock", None, lambda ctx, args: threading.Lock()),
        ):
            commands.add_command(Command(name, schema, action))
        return commands


def page_of(args: Any) -> tuple[str | None, int, int]:
    """Filter and paging as the client sends them."""
    found, paging = args.get("filter") or {}, args.get("paging") or {}
    return found.get("key"), int(paging.get("skip") or 0), int(paging.get("take") or 100)


def trace_id_in(context: Any) -> str:
    """A controller on Lambda passes the trace id itself. The others pass a context."""
    return context if isinstance(context, str) else ContextResolver.get_trace_id(context)


def as_parameters(payload: Any) -> Parameters:
    """The parameters of a command."""
    return Parameters.from_value(payload)


def to_json_text(value: Any) -> str:
    """A result as JSON, in the way that the author of an explicit action writes it."""
    return json.dumps(value, default=lambda item: item.to_dict() if hasattr(item, "to_dict") else item.to_json())


def factory_of(*controllers: tuple[str, type]) -> Factory:
    """Creates the service and controllers of these kinds."""
    factory = Factory()
    factory.register_as_type(SERVICE, DummyService)
    for kind, controller in controllers:
        factory.register_as_type(Descriptor("dummies", "controller", kind, "*", "1.0"), controller)
    return factory
