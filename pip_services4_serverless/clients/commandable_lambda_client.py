from __future__ import annotations

from typing import TYPE_CHECKING

from .commandable_function_client import CommandableFunctionClient
from .lambda_client import LambdaClient

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Unpack

    from .._context import CallContext
    from .lambda_call_options import LambdaCallOptions


class CommandableLambdaClient(CommandableFunctionClient, LambdaClient):
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

    if TYPE_CHECKING:

        def call_command(
            self,
            cmd: str,
            context: CallContext,
            params: Mapping[str, Any] | None = None,
            **options: Unpack[LambdaCallOptions],
        ) -> Any: ...
