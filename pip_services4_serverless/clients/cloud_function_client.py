from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .._context import CallContext
from .._tracebacks import hide_failures
from ._google import CloudFunction
from ._http_function_client import HttpFunctionClient

__tracebackhide__ = hide_failures


class CloudFunctionClient(CloudFunction, HttpFunctionClient):
    """Calls a Google Cloud Function over HTTP. `cmd` says which of its actions.

    Configuration parameters, besides the options of `FunctionClient`:

    - `connection.uri`: the function's URL
    - `connection.protocol`, `.project_id`, `.region`, `.function`: else composed to
      `protocol://region-project_id.cloudfunctions.net/function`
    - `connection.discovery_key`: look the connection up in a discovery service
    - `credential.auth_token`: an ID token, sent as `Authorization: Bearer`; empty or absent sends none. Google's tokens
      end after an hour
    - `credential.store_key`: look the credential up in a credential store

    ```python
    class OrdersClient(CloudFunctionClient):
        def get_order(self, context, order_id):
            return self._call("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    client.configure(ConfigParams.from_tuples(
        "connection.uri", "https://europe-west1-my-shop.cloudfunctions.net/orders", "credential.auth_token", "TOKEN"))
    client.open("123")
    ```
    """

    def _invoke(self, cmd: str, context: CallContext, args: Mapping[str, Any] | None) -> Any:
        """Invokes the function; returns what the action returned.

        Arguments and errors are those of `FunctionClient._call`.
        """
        return self._execute(cmd, context, args)

    def _call(self, cmd: str, context: CallContext, params: Mapping[str, Any] | None = None) -> Any:
        """Calls an action; returns its result.

        Arguments and errors are those of `FunctionClient._call`.
        """
        return self._invoke(cmd, context, params)
