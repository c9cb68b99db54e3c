from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._context import CallContext
from .._tracebacks import hide_failures
from ._async_http_function_client import AsyncHttpFunctionClient
from ._google import CloudFunction

__tracebackhide__ = hide_failures


class AsyncCloudFunctionClient(CloudFunction, AsyncHttpFunctionClient):
    """Calls a Google Cloud Function from asyncio. Configured as `CloudFunctionClient`.

    ```python
    class OrdersClient(AsyncCloudFunctionClient):
        async def get_order(self, context, order_id):
            return await self._call("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    client.configure(ConfigParams.from_tuples(
        "connection.uri", "https://europe-west1-my-shop.cloudfunctions.net/orders", "credential.auth_token", "TOKEN"))
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
