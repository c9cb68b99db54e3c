"""Mistakes of users. Type checkers report an error in each line with that comment, and in no other line."""

from __future__ import annotations

import pip_services4_serverless as package
from pip_services4_serverless import clients, connect, local
from pip_services4_serverless.clients import (
    AsyncCommandableLambdaClient,
    AsyncLambdaClient,
    AzureFunctionClient,
    CommandableAzureFunctionClient,
    CommandableFunctionClient,
    CommandableLambdaClient,
    FunctionClient,
    LambdaClient,
)


def names() -> None:
    _ = package.AzureFunktionClient  # error: a misspelled name
    _ = clients.AzureFunktionClient  # error
    _ = connect.AzureConectionParams  # error
    _ = local.AzureFunktionHost  # error


class Calls(CommandableFunctionClient):
    def take(self, article: str) -> object:
        return self.call_command("take", {"article": article})  # error: a dict as context


class TakesADict(AzureFunctionClient):
    def get(self, params: dict[str, object]) -> object:
        self._instrument(params, "get")  # error
        self._invoke("get", params, None)  # error
        return self._call("get", params)  # error


def contexts(azure: CommandableAzureFunctionClient, aws: CommandableLambdaClient, base: FunctionClient) -> None:
    azure.call("get", {"id": "1"})  # error
    azure.call_command("get", {"id": "1"})  # error
    azure.open({"id": "1"})  # error
    azure.close({"id": "1"})  # error
    aws.call("get", {"id": "1"})  # error
    aws.call_command("get", {"id": "1"})  # error
    aws.call_one_way("get", {"id": "1"})  # error
    aws._call_one_way("get", {"id": "1"})  # error
    aws._invoke("Event", "get", {"id": "1"}, None)  # error
    base.call("get", 5)  # error
    base.call("get", b"123")  # error
    base.call("get", "123", {"id": "1"})


def options(azure: CommandableAzureFunctionClient, aws: CommandableLambdaClient, base: FunctionClient) -> None:
    azure.call("get", "123", timout=500)  # error: an unknown name
    azure.call_command("get", "123", timout=500)  # error
    azure.call("get", "123", connect_timeout=500)  # error: not an option of one call
    azure.call("get", "123", tenant_id="blue")  # error: not an option on Azure
    azure.call_command("get", "123", tenant_id="blue")  # error
    base.call("get", "123", tenant_id="blue")  # error
    aws.call("get", "123", tenant_id=5)  # error
    aws.call_command("get", "123", tenant_id=5)  # error
    aws.call_one_way("get", "123", retries="3")  # error: a wrong type
    azure.call("get", "123", timeout="5s")  # error
    azure.call("get", "123", timeout=0.5)  # error
    azure.call_command("get", "123", idempotent="yes")  # error
    azure.call("get", "123", idempotent=None)  # error
    azure.call("get", "123", timeout=500)


async def asynchronous(aws: AsyncCommandableLambdaClient, bare: AsyncLambdaClient) -> None:
    await aws.call("get", {"id": "1"})  # error
    await aws.call_command("get", {"id": "1"})  # error
    await bare.call_one_way("get", "123", timout=500)  # error
    await bare.call("get", "123", tenant_id=5)  # error
    await aws.call_command("get", "123", tenant_id=5)  # error
    await aws.call_command("get", "123", tenant_id="blue")


def made(orders: LambdaClient) -> None:
    orders.call()  # error
