from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._context import CallContext
from .._tracebacks import hide_failures
from ._serverless_client import ServerlessClient
from .function_client import FunctionClient

__tracebackhide__ = hide_failures


class Commands(ServerlessClient):
    def _names_of(self, cmd: str) -> tuple[str, str]:
        """What a command is counted as, and what is sent."""
        command = f"{self._name}.{cmd}" if self._name and cmd else str(self._name or cmd or "")
        opened = self._state
        # What is not a command, and a client that is not open, is for the call to refuse.
        prefixes = opened is not None and opened.options.prefix_commands and isinstance(cmd, str) and bool(cmd)
        return command, command if prefixes else cmd


class Commandable(Commands, FunctionClient):
    """Calls the commands of a service by name, observed. Stands before a provider's client in a class's bases.

    Configuration parameter `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone.
    """

    def call_command(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> Any:
        """Calls a command of the service; counts, times and traces it as `name.cmd`. Returns its result.

        Arguments and errors are those of `FunctionClient._call`.
        """
        command, sent = self._names_of(cmd)
        timing = self._instrument(context, command)
        try:
            result = self._call(sent, context, params)
        except BaseException as err:
            timing.end_failure(err)
            raise
        timing.end_success()
        return result
