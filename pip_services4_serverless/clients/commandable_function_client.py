from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .._context import CallContext
from .._tracebacks import hide_failures
from ._serverless_client import ServerlessClient
from .function_client import FunctionClient

if TYPE_CHECKING:
    from typing import Unpack

    from .call_options import CallOptions

__tracebackhide__ = hide_failures


class Commands(ServerlessClient):
    """What the blocking and the asynchronous commandable clients share."""

    def _command_names(self, cmd: str) -> tuple[str, str]:
        """The name of a command for counters and traces, and the command that is sent."""
        if isinstance(cmd, str):
            cmd = str.__str__(cmd)  # an f-string would write the name of a `(str, Enum)` member, and not its value
        full_name = f"{self._name}.{cmd}" if self._name and cmd else str(self._name or cmd or "")
        opened = self._state
        # An invalid command is passed on: the call checks it, and whether the client is open.
        is_prefixed = opened is not None and opened.options.prefix_commands and isinstance(cmd, str) and bool(cmd)
        return full_name, full_name if is_prefixed else cmd


class CommandableFunctionClient(Commands, FunctionClient):
    """Calls the commands of a service by name, counted and traced. The base of all providers' commandable clients.

    You can write the methods of a service once, in a subclass of this class, and use them with the client of each
    provider. List the subclass before the provider's client.

    Configuration parameters, in addition to those of `FunctionClient`:

    - `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone, for services that register bare names

    ```python
    class OrdersCalls(CommandableFunctionClient):
        def get_order(self, context, order_id):
            return self.call_command("get_order", context, {"order_id": order_id})

    class OrdersAzureClient(OrdersCalls, CommandableAzureFunctionClient):
        pass

    class OrdersLambdaClient(OrdersCalls, CommandableLambdaClient):
        pass
    ```
    """

    def call_command(
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
            result = self._call(sent, context, params, **options) if options else self._call(sent, context, params)
        except BaseException as err:
            timing.end_failure(err)
            raise
        timing.end_success()
        return result
