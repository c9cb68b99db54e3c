from __future__ import annotations

from .cloud_function_client import CloudFunctionClient
from .commandable_function_client import CommandableFunctionClient


class CommandableCloudFunctionClient(CommandableFunctionClient, CloudFunctionClient):
    """Calls the commands of a service that runs as a Google Cloud Function. Configured as `CloudFunctionClient`.

    - `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone, for services that register bare names

    ```python
    class OrdersClient(CommandableCloudFunctionClient):
        def __init__(self):
            super().__init__("orders")

        def get_order(self, context, order_id):
            return self.call_command("get_order", context, {"order_id": order_id})
    ```
    """
