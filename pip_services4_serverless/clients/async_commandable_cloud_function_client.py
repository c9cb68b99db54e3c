from __future__ import annotations

from .async_cloud_function_client import AsyncCloudFunctionClient
from .async_commandable_function_client import AsyncCommandableFunctionClient


class AsyncCommandableCloudFunctionClient(AsyncCommandableFunctionClient, AsyncCloudFunctionClient):
    """Calls the commands of a service that runs as a Google Cloud Function, from asyncio.

    Configured as `CloudFunctionClient`.

    - `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone, for services that register bare names

    ```python
    class OrdersClient(AsyncCommandableCloudFunctionClient):
        def __init__(self):
            super().__init__("orders")

        async def get_order(self, context, order_id):
            return await self.call_command("get_order", context, {"order_id": order_id})
    ```
    """
