from __future__ import annotations

from ._async_http_function_client import AsyncHttpFunctionClient
from ._azure import AzureFunction


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
