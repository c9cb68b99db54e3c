from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._context import CallContext
from ._transport import Transport
from .function_client import FunctionClient


class Commandable(FunctionClient):
    """Calls the commands of a service by name, observed. Stands before a provider's client in a class's bases.

    Configuration parameter `options.prefix_commands`: send `name.cmd` (true), or `cmd` alone.
    """

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._prefix_commands = True
        self._prefixes = True

    def _open_transport(self, context: CallContext) -> Transport:
        self._prefixes = bool(self._prefix_commands)  # as all options, from `open` to `close`
        return super()._open_transport(context)  # type: ignore[safe-super]

    def call_command(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> Any:
        """Calls a command of the service; counts, times and traces it as `name.cmd`. Returns its result.

        Arguments and errors are those of `FunctionClient._call`.
        """
        command = ".".join(str(part) for part in (self._name, cmd) if part)
        timing = self._instrument(context, command)
        is_command = isinstance(cmd, str) and cmd  # if not, the call says so
        try:
            result = self._call(command if is_command and self._prefixes else cmd, context, params)
        except BaseException as err:
            timing.end_failure(err)
            raise
        timing.end_success()
        return result
