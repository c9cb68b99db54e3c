from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._context import CallContext
from .function_client import FunctionClient


class Commandable(FunctionClient):
    """Calls the commands of a service by name, observed. Stands before a provider's client in a class's bases.

    Configuration parameter `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone.
    """

    def call_command(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> Any:
        """Calls a command of the service; counts, times and traces it as `name.cmd`. Returns its result.

        Arguments and errors are those of `FunctionClient._call`.
        """
        command = ".".join(str(part) for part in (self._name, cmd) if part)
        timing = self._instrument(context, command)
        opened = self._state
        # What is not a command, and a client that is not open, is for the call to refuse.
        prefixes = opened is not None and opened.options.prefix_commands and isinstance(cmd, str) and bool(cmd)
        try:
            result = self._call(command if prefixes else cmd, context, params)
        except BaseException as err:
            timing.end_failure(err)
            raise
        timing.end_success()
        return result
