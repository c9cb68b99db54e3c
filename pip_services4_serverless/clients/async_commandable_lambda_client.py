from __future__ import annotations

from ._async_commandable import AsyncCommandable
from .async_lambda_client import AsyncLambdaClient


class AsyncCommandableLambdaClient(AsyncCommandable, AsyncLambdaClient):
    """Calls the commands of a service that runs as an AWS Lambda function, from asyncio.

    Configured as `LambdaClient`.

    - `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone, for services that register bare names

    ```python
    class OrdersClient(AsyncCommandableLambdaClient):
        def __init__(self):
            super().__init__("orders")

        async def get_order(self, context, order_id):
            return await self.call_command("get_order", context, {"order_id": order_id})
    ```
    """
