from __future__ import annotations

from typing import TYPE_CHECKING

from .async_commandable_function_client import AsyncCommandableFunctionClient
from .async_lambda_client import AsyncLambdaClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Unpack

    from .._context import CallContext
    from .lambda_call_options import LambdaCallOptions


class AsyncCommandableLambdaClient(AsyncCommandableFunctionClient, AsyncLambdaClient):
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

    if TYPE_CHECKING:

        async def call_command(
            self,
            cmd: str,
            context: CallContext,
            params: Mapping[str, Any] | None = None,
            **options: Unpack[LambdaCallOptions],
        ) -> Any: ...
