from __future__ import annotations

from ._commandable import Commandable
from .lambda_client import LambdaClient


class CommandableLambdaClient(Commandable, LambdaClient):
    """Calls the commands of a service that runs as an AWS Lambda function. Configured as `LambdaClient`.

    - `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone, for services that register bare names

    ```python
    class OrdersClient(CommandableLambdaClient):
        def __init__(self):
            super().__init__("orders")

        def get_order(self, context, order_id):
            return self.call_command("get_order", context, {"order_id": order_id})
    ```
    """
