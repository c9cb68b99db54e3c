from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._context import CallContext
from .._tracebacks import hide_failures
from .async_function_client import AsyncFunctionClient
from .commandable_function_client import Commands

if TYPE_CHECKING:
    from typing import Unpack

    from .call_options import CallOptions

__tracebackhide__ = hide_failures


class AsyncCommandableFunctionClient(Commands, AsyncFunctionClient):
    """Calls the commands of a service by name from asyncio, counted and traced.

    It is the base of all asynchronous commandable clients, and is used and configured like `CommandableFunctionClient`.

    ```python
    class OrdersCalls(AsyncCommandableFunctionClient):
        async def get_order(self, context, order_id):
            return await self.call_command("get_order", context, {"order_id": order_id})

    class OrdersAzureClient(OrdersCalls, AsyncCommandableAzureFunctionClient):
        pass

    class OrdersLambdaClient(OrdersCalls, AsyncCommandableLambdaClient):
        pass
    ```
    """

    async def call_command(
        self,
        cmd: str,
        context: CallContext,
        params: Mapping[str, Any] | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Calls a command of the service and returns its result. It is counted, timed and traced as `name.cmd`.

        The arguments and errors are those of `FunctionClient.call`.
        """
        name, sent = self._command_names(cmd)
        timing = self._instrument(context, name)
        try:
            result = await (
                self._call(sent, context, params, **options) if options else self._call(sent, context, params)
            )
        except BaseException as err:
            timing.end_failure(err)
            raise
        timing.end_success()
        return result
