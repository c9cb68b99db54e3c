from __future__ import annotations

from ._async_http_function_client import AsyncHttpFunctionClient
from ._google import CloudFunction


class AsyncCloudFunctionClient(CloudFunction, AsyncHttpFunctionClient):
    """Calls a Google Cloud Function from asyncio. Configured as `CloudFunctionClient`.

    ```python
    class OrdersClient(AsyncCloudFunctionClient):
        async def get_order(self, context, order_id):
            return await self._call("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    client.configure(ConfigParams.from_tuples(
        "connection.uri", "https://europe-west1-my-shop.cloudfunctions.net/orders",
        "credential.auth_token", "TOKEN"))
    ```
    """
