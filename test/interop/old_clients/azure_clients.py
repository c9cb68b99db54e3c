"""Clients that a team wrote for pip-services4-azure 0.0.1."""

from typing import Any

from pip_services4_azure.clients import AzureFunctionClient, CommandableAzureFunctionClient
from pip_services4_azure.clients.AzureFunctionClient import AzureFunctionClient as BaseClient
from pip_services4_azure.connect import AzureConnectionParams, AzureConnectionResolver
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context, IContext
from pip_services4_components.refer import Descriptor, References
from pip_services4_observability.log import NullLogger


class DummyClient(AzureFunctionClient):
    """Names its actions and instruments them."""

    def __init__(self) -> None:
        super().__init__()
        self._headers["x-team"] = "dummies"

    def save(self, context: IContext | None, dummy: dict[str, Any]) -> Any:
        timing = self._instrument(context, "dummies.save")
        result = self._call("dummies.save_dummy", context, {"dummy": dummy})
        timing.end_timing()
        return result

    def get(self, context: IContext | None, dummy_id: str) -> Any:
        timing = self._instrument(context, "dummies.get")
        try:
            return self._call("dummies.get_dummy", context, {"dummy_id": dummy_id})
        finally:
            timing.end_timing()

    def trace_id(self, context: IContext | None) -> Any:
        return self._invoke("dummies.get_trace_id", context, {})


class DummyCommandableClient(CommandableAzureFunctionClient):
    """Calls a function that registers commands without a prefix, the only kind that the old client could call."""

    def __init__(self) -> None:
        super().__init__("dummies")

    def save(self, context: IContext | None, dummy: dict[str, Any]) -> Any:
        return self.call_command("save_dummy", context, {"dummy": dummy})

    def get(self, context: IContext | None, dummy_id: str) -> Any:
        return self.call_command("get_dummy", context, {"dummy_id": dummy_id})

    def trace_id(self, context: IContext | None) -> Any:
        return self.call_command("get_trace_id", context, {})


def describe(config: ConfigParams) -> list[Any]:
    """The values that the connection classes read from a configuration."""
    resolver = AzureConnectionResolver()
    resolver.configure(config)
    params = resolver.resolve(None)
    merged = AzureConnectionParams.merge_configs(params, ConfigParams.from_tuples("auth_code", "other"))
    return [
        isinstance(params, AzureConnectionParams),
        params.get_protocol(),
        params.get_app_name(),
        params.get_function_name(),
        params.get_function_uri(),
        merged.get_auth_code(),
        AzureConnectionParams.from_string("protocol=http;app_name=a;function_name=f").get_app_name(),
    ]


def use(client: Any, config: ConfigParams) -> list[Any]:
    """Opens a client, calls its methods, and returns their results."""
    assert isinstance(client, BaseClient)
    context = Context.from_trace_id("T1")
    client.configure(config)
    client.set_references(References.from_tuples(Descriptor("a", "logger", "null", "default", "1.0"), NullLogger()))
    client.open(context)
    try:
        dummy = {"id": "old", "key": "k", "content": "Größe"}
        return [
            client.is_open(),
            client.save(context, dummy),
            client.get(context, "old"),
            client.get(context, "none"),
            client.trace_id(context),
        ]
    finally:
        client.close(context)
