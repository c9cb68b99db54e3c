from __future__ import annotations

from .azure_function_client import AzureFunctionClient
from .commandable_function_client import CommandableFunctionClient


class CommandableAzureFunctionClient(CommandableFunctionClient, AzureFunctionClient):
    """Calls the commands of a service that runs as an Azure Function. Configured as `AzureFunctionClient`.

    - `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone, for services that register bare names

    ```python
    class OrdersClient(CommandableAzureFunctionClient):
        def __init__(self):
            super().__init__("orders")

        def get_order(self, context, order_id):
            return self.call_command("get_order", context, {"order_id": order_id})
    ```
    """
