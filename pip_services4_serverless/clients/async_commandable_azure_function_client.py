from __future__ import annotations

from .async_azure_function_client import AsyncAzureFunctionClient
from .async_commandable_function_client import AsyncCommandableFunctionClient


class AsyncCommandableAzureFunctionClient(AsyncCommandableFunctionClient, AsyncAzureFunctionClient):
    """Calls the commands of a service that runs as an Azure Function, from asyncio.

    Configured as `AzureFunctionClient`.

    - `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone, for services that register bare names

    ```python
    class OrdersClient(AsyncCommandableAzureFunctionClient):
        def __init__(self):
            super().__init__("orders")

        async def get_order(self, context, order_id):
            return await self.call_command("get_order", context, {"order_id": order_id})
    ```
    """
