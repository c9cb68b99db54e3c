from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._context import CallContext
from .._tracebacks import hide_failures
from ._commandable import Commands
from .async_function_client import AsyncFunctionClient

__tracebackhide__ = hide_failures


class AsyncCommandable(Commands, AsyncFunctionClient):
    """The asynchronous twin of `Commandable`."""

    async def call_command(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> Any:
        """Calls a command of the service; counts, times and traces it as `name.cmd`. Returns its result.

        Arguments and errors are those of `FunctionClient._call`.
        """
        command, sent = self._names_of(cmd)
        timing = self._instrument(context, command)
        try:
            result = await self._call(sent, context, params)
        except BaseException as err:
            timing.end_failure(err)
            raise
        timing.end_success()
        return result
