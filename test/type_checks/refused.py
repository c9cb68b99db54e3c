"""Slips of users. Type checkers refuse each line that says so, and no other."""

from __future__ import annotations

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


class Calls(CommandableFunctionClient):
    def take(self, article: str) -> object:
        return self.call_command("take", {"article": article})  # refused: a dict as context


class TakesADict(AzureFunctionClient):
    def get(self, params: dict[str, object]) -> object:
        self._instrument(params, "get")  # refused
        self._invoke("get", params, None)  # refused
        return self._call("get", params)  # refused


def contexts(azure: CommandableAzureFunctionClient, aws: CommandableLambdaClient, base: FunctionClient) -> None:
    azure.call("get", {"id": "1"})  # refused
    azure.call_command("get", {"id": "1"})  # refused
    azure.open({"id": "1"})  # refused
    azure.close({"id": "1"})  # refused
    aws.call("get", {"id": "1"})  # refused
    aws.call_command("get", {"id": "1"})  # refused
    aws.call_one_way("get", {"id": "1"})  # refused
    aws._call_one_way("get", {"id": "1"})  # refused
    aws._invoke("Event", "get", {"id": "1"}, None)  # refused
    base.call("get", 5)  # refused
    base.call("get", b"123")  # refused
    base.call("get", "123", {"id": "1"})


def options(azure: CommandableAzureFunctionClient, aws: CommandableLambdaClient, base: FunctionClient) -> None:
    azure.call("get", "123", timout=500)  # refused: an unknown name
    azure.call_command("get", "123", timout=500)  # refused
    azure.call("get", "123", connect_timeout=500)  # refused: not of one call
    azure.call("get", "123", tenant_id="blue")  # refused: not on Azure
    azure.call_command("get", "123", tenant_id="blue")  # refused
    base.call("get", "123", tenant_id="blue")  # refused
    aws.call("get", "123", tenant_id=5)  # refused
    aws.call_command("get", "123", tenant_id=5)  # refused
    aws.call_one_way("get", "123", retries="3")  # refused: a wrong type
    azure.call("get", "123", timeout="5s")  # refused
    azure.call("get", "123", timeout=0.5)  # refused
    azure.call_command("get", "123", idempotent="yes")  # refused
    azure.call("get", "123", idempotent=None)  # refused
    azure.call("get", "123", timeout=500)


async def asynchronous(aws: AsyncCommandableLambdaClient, bare: AsyncLambdaClient) -> None:
    await aws.call("get", {"id": "1"})  # refused
    await aws.call_command("get", {"id": "1"})  # refused
    await bare.call_one_way("get", "123", timout=500)  # refused
    await bare.call("get", "123", tenant_id=5)  # refused
    await aws.call_command("get", "123", tenant_id=5)  # refused
    await aws.call_command("get", "123", tenant_id="blue")


def made(orders: LambdaClient) -> None:
    orders.call()  # refused
