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
    def _names_of(self, cmd: str) -> tuple[str, str]:
        """The name under which a command is counted, and the command that is sent."""
        if isinstance(cmd, str):
            cmd = str.__str__(cmd)  # formatted, a member of a `(str, Enum)` is not its value
        command = f"{self._name}.{cmd}" if self._name and cmd else str(self._name or cmd or "")
        opened = self._state
        # The call itself checks the command, and whether the client is open.
        prefixes = opened is not None and opened.options.prefix_commands and isinstance(cmd, str) and bool(cmd)
        return command, command if prefixes else cmd


class CommandableFunctionClient(Commands, FunctionClient):
    """Calls the commands of a service by name, counted and traced. The base of all providers' commandable clients.

    Calls that are the same on all providers are written once, in a class on this base; type checkers then know
    `call_command` and the rest. In a class's bases it stands before a provider's client.

    Configuration parameter `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone.

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

        Arguments and errors are those of `FunctionClient._call`.
        """
        command, sent = self._names_of(cmd)
        timing = self._instrument(context, command)
        try:
            result = self._call(sent, context, params, **options) if options else self._call(sent, context, params)
        except BaseException as err:
            timing.end_failure(err)
            raise
        timing.end_success()
        return result
