"""Clients that a team wrote for pip-services4-gcp 0.0.1."""

from typing import Any

from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context, IContext
from pip_services4_components.refer import Descriptor, References
from pip_services4_gcp.clients import CloudFunctionClient, CommandableCloudFunctionClient
from pip_services4_gcp.clients.CloudFunctionClient import CloudFunctionClient as BaseClient
from pip_services4_gcp.connect import GcpConnectionParams, GcpConnectionResolver
from pip_services4_observability.log import NullLogger


class DummyClient(CloudFunctionClient):
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


class DummyCommandableClient(CommandableCloudFunctionClient):
    """Calls a function that registers commands without a prefix, the only kind that the old client could call."""

    def __init__(self) -> None:
        super().__init__("dummies")

    def save(self, context: IContext | None, dummy: dict[str, Any]) -> Any:
        return self.call_command("save_dummy", context, {"dummy": dummy})

    def get(self, context: IContext | None, dummy_id: str) -> Any:
        return self.call_command("get_dummy", context, {"dummy_id": dummy_id})

    def trace_id(self, context: IContext | None) -> Any:
        """A command that returns text sends it as HTML, which neither client can decode."""
        return self.call_command("save_dummy", context, {"dummy": {"id": "T1", "key": "k"}})["id"]


def describe(config: ConfigParams) -> list[Any]:
    """The values that the connection classes read from a configuration."""
    resolver = GcpConnectionResolver()
    resolver.configure(config)
    params = resolver.resolve(None)
    merged = GcpConnectionParams.merge_configs(params, ConfigParams.from_tuples("auth_token", "other"))
    return [
        isinstance(params, GcpConnectionParams),
        params.get_protocol(),
        params.get_region(),
        params.get_project_id(),
        params.get_function(),
        params.get_uri(),
        params.get_org_id(),
        params.get_account(),
        params.get_auth_token(),
        merged.get_auth_token(),
        GcpConnectionParams.from_string("protocol=http;region=r;function=f").get_region(),
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
