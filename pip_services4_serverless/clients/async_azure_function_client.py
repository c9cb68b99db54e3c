from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._context import CallContext
from .._tracebacks import hide_failures
from ._async_http_function_client import AsyncHttpFunctionClient
from ._azure import AzureFunction

__tracebackhide__ = hide_failures


class AsyncAzureFunctionClient(AzureFunction, AsyncHttpFunctionClient):
    """Calls an Azure Function from asyncio. Configured as `AzureFunctionClient`.

    ```python
    class OrdersClient(AsyncAzureFunctionClient):
        async def get_order(self, context, order_id):
            return await self._call("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    client.configure(ConfigParams.from_tuples(
        "connection.uri", "https://shop.azurewebsites.net/api/orders", "credential.auth_code", "KEY"))
    ```
    """

    async def _invoke(self, cmd: str, context: CallContext, args: Mapping[str, Any] | None) -> Any:
        """Invokes the function; returns what the action returned.

        Arguments and errors are those of `FunctionClient._call`.
        """
        return await self._execute(cmd, context, args)

    async def _call(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> Any:
        """Calls an action; returns its result.

        Arguments and errors are those of `FunctionClient._call`.
        """
        return await self._invoke(cmd, context, params)
