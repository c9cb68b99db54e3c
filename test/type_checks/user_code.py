"""Code as users write it. Type checkers find no error in it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Unpack

from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context, IContext
from pip_services4_components.refer import Descriptor

from pip_services4_serverless import AsyncLambdaClient, AzureFunctionClient, LambdaClient
from pip_services4_serverless.build import DefaultServerlessFactory
from pip_services4_serverless.clients import (
    AsyncAzureFunctionClient,
    AsyncCommandableAzureFunctionClient,
    AsyncCommandableFunctionClient,
    AsyncCommandableLambdaClient,
    CallOptions,
    CommandableAzureFunctionClient,
    CommandableFunctionClient,
    CommandableLambdaClient,
    FunctionClient,
    LambdaCallOptions,
)

# --- A subclass ---


class OrdersClient(AzureFunctionClient):
    _timeout = 5000

    def __init__(self) -> None:
        super().__init__("orders")
        self._headers["x-tenant"] = "north"

    def configure(self, config: ConfigParams | Mapping[str, Any]) -> None:
        super().configure(config)

    def open(self, context: IContext | str | None = None) -> None:
        super().open(context)

    def get_order(self, context: IContext | str | None, order_id: str, **options: Unpack[CallOptions]) -> str:
        timing = self._instrument(context, "orders.get_order")
        try:
            order: str = self._call("get_order", context, {"order_id": order_id}, **options)["order"]
        except Exception as err:
            timing.end_timing(err)
            raise
        timing.end_timing()
        return order


class AuditedClient(LambdaClient):
    def _call(
        self,
        cmd: str,
        context: IContext | str | None,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[LambdaCallOptions],
    ) -> Any:
        return super()._call(cmd, context, params, **options)

    def _invoke(
        self,
        invocation_type: str,
        cmd: str,
        context: IContext | str | None,
        args: Mapping[str, Any] | None,
        **options: Unpack[LambdaCallOptions],
    ) -> Any:
        return super()._invoke(invocation_type, cmd, context, args, **options)

    def forget(self, context: IContext | str | None, tenant: str) -> None:
        self.call_one_way("forget", context, {}, tenant_id=tenant, retries=0)


# --- The same calls on both providers ---


class StockCalls(CommandableFunctionClient):
    def take(self, context: IContext | str | None, article: str) -> int:
        left: int = self.call_command("take", context, {"article": article}, timeout=500)["left"]
        return left


class StockAzureClient(StockCalls, CommandableAzureFunctionClient):
    def __init__(self) -> None:
        super().__init__("stock")


class StockLambdaClient(StockCalls, CommandableLambdaClient):
    def __init__(self) -> None:
        super().__init__("stock")

    def take_of(self, context: IContext | str | None, tenant: str) -> Any:
        return self.call_command("take", context, {}, tenant_id=tenant)


class PriceCalls(FunctionClient):
    def get_price(self, context: IContext | str | None, article: str) -> Any:
        return self._call("get_price", context, {"article": article}, idempotent=True)


class PriceAzureClient(PriceCalls, AzureFunctionClient):
    pass


class PriceLambdaClient(PriceCalls, LambdaClient):
    pass


class AsyncStockCalls(AsyncCommandableFunctionClient):
    async def take(self, context: IContext | str | None, article: str) -> int:
        left: int = (await self.call_command("take", context, {"article": article}, timeout=500))["left"]
        return left


class AsyncStockAzureClient(AsyncStockCalls, AsyncCommandableAzureFunctionClient):
    pass


class AsyncStockLambdaClient(AsyncStockCalls, AsyncCommandableLambdaClient):
    async def take_of(self, context: IContext | str | None, tenant: str) -> Any:
        return await self.call_command("take", context, {}, tenant_id=tenant)


class TracedClient(AsyncAzureFunctionClient):
    def _attempt_headers(self, context: IContext | str | None) -> Mapping[str, str]:
        return {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


# --- Contexts ---


class CustomContext(IContext):  # type: ignore[misc]  # as with all classes of packages without types
    def get(self, key: str) -> Any:
        return {"trace_id": "123"}.get(key)


def call_with_each_context(client: FunctionClient) -> None:
    client.call("get")
    client.call("get", None)
    client.call("get", "123")
    client.call("get", Context.from_trace_id("123"))
    client.call("get", CustomContext(), {"id": "1"})
    client.open(CustomContext())
    client.close("123")


# --- Scripts ---


def script() -> int:
    with AzureFunctionClient.from_uri("http://localhost:7071/api/orders", timeout=5000) as client:
        options: CallOptions = {"timeout": 500, "total_timeout": 1000, "retries": 1, "idempotent": True}
        client.call("get_order", params={"id": "1"}, **options)
        client.call("get_order", "123", idempotent=False)
    with LambdaClient.from_arn("orders", region="eu-west-1") as client_of_lambda:
        client_of_lambda.call("get_order", "123", {"id": "1"}, tenant_id="blue", timeout=500)
        client_of_lambda._call_one_way("forget", "123", None)
    stock = StockLambdaClient()
    stock.configure({"connection": {"arn": "stock", "region": "eu-west-1"}})
    stock.configure(ConfigParams.from_tuples("connection.arn", "stock"))
    stock.open()
    left: int = stock.take("123", "tea") + stock.take(None, "tea")
    stock.call("get", tenant_id="blue")
    stock.close()
    client = DefaultServerlessFactory().create(Descriptor("pip-services", "client", "commandable-lambda", "x", "1.0"))
    client.open("123")
    return left


async def main() -> tuple[int, Any]:
    async with AsyncStockAzureClient("stock") as stock, AsyncLambdaClient() as orders:
        left, order = await asyncio.gather(
            stock.take("123", "tea"), orders.call("get_order", "123", {"id": "1"}, tenant_id="blue")
        )
        await orders.call_one_way("forget", None, retries=0)
        return left + 1, order
