"""Clients that a team wrote for pip-services4-aws 0.0.1."""

from typing import Any

from pip_services4_aws.clients import CommandableLambdaClient, LambdaClient
from pip_services4_aws.clients.LambdaClient import LambdaClient as BaseClient
from pip_services4_aws.connect import AwsConnectionParams, AwsConnectionResolver
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor, References
from pip_services4_observability.log import NullLogger


class DummyClient(LambdaClient):
    """Names its actions and instruments them."""

    def save(self, trace_id: str | None, dummy: dict[str, Any]) -> Any:
        timing = self._instrument(None, "dummies.save")
        result = self._call("dummies.save_dummy", trace_id, {"dummy": dummy})
        timing.end_timing()
        return result

    def get(self, trace_id: str | None, dummy_id: str) -> Any:
        timing = self._instrument(None, "dummies.get")
        try:
            return self._call("dummies.get_dummy", trace_id, {"dummy_id": dummy_id})
        finally:
            timing.end_timing()

    def trace_id(self, trace_id: str | None) -> Any:
        return self._invoke("RequestResponse", "dummies.get_trace_id", trace_id, {})


class DummyCommandableClient(CommandableLambdaClient):
    """Calls the commands of a controller."""

    def __init__(self) -> None:
        super().__init__("dummies")

    def save(self, trace_id: str | None, dummy: dict[str, Any]) -> Any:
        return self.call_command("save_dummy", None, {"dummy": dummy})

    def get(self, trace_id: str | None, dummy_id: str) -> Any:
        return self.call_command("get_dummy", None, {"dummy_id": dummy_id})

    def trace_id(self, trace_id: str | None) -> Any:
        return self._call("dummies.get_trace_id", trace_id)


def describe(config: ConfigParams) -> list[Any]:
    """The values that the connection classes read from a configuration."""
    resolver = AwsConnectionResolver()
    resolver.configure(config)
    params = resolver.resolve(None)
    merged = AwsConnectionParams.merge_configs(params, ConfigParams.from_tuples("access_id", "other"))
    return [
        isinstance(params, AwsConnectionParams),
        params.get_partition(),
        params.get_service(),
        params.get_region(),
        params.get_account(),
        params.get_resource_type(),
        params.get_resource(),
        params.get_arn(),
        merged.get_access_id(),
        AwsConnectionParams.from_string("region=eu-west-1;account=1").get_region(),
    ]


def use(client: Any, config: ConfigParams) -> list[Any]:
    """Opens a client, calls its methods, and returns their results."""
    assert isinstance(client, BaseClient)
    client.configure(config)
    client.set_references(References.from_tuples(Descriptor("a", "logger", "null", "default", "1.0"), NullLogger()))
    client.open(None)
    try:
        dummy = {"id": "old", "key": "k", "content": "Größe"}
        return [
            client.is_open(),
            client.save("T1", dummy),
            client.get("T1", "old"),
            client.get("T1", "none"),
            client.trace_id("T1"),
        ]
    finally:
        client.close(None)
