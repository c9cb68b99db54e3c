from __future__ import annotations

from ._azure import AzureFunction
from ._http_function_client import HttpFunctionClient


class AzureFunctionClient(AzureFunction, HttpFunctionClient):
    """Calls an Azure Function over HTTP. `cmd` names the action.

    Configuration parameters, in addition to the options of `FunctionClient`:

    - `connection.uri`: the function's URL; a key in it (`?code=`) is sent in the header
    - `connection.protocol`, `.app_name`, `.function_name`: if `uri` is missing, the URL is
      `protocol://app_name.azurewebsites.net/api/function_name`
    - `connection.discovery_key`: look the connection up in a discovery service
    - `credential.auth_code`: the key, sent as `x-functions-key`; if it is missing or empty, no key is sent
    - `credential.identity`, `.scope`, `.client_id`: `default` sends a token of the platform's identity
    - `credential.store_key`: look the credential up in a credential store

    ```python
    class OrdersClient(AzureFunctionClient):
        def get_order(self, context, order_id):
            return self._call("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    client.configure(ConfigParams.from_tuples(
        "connection.uri", "https://shop.azurewebsites.net/api/orders", "credential.auth_code", "KEY"))
    client.open("123")
    ```
    """
