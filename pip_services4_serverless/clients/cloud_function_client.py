from __future__ import annotations

from ._google import CloudFunction
from ._http_function_client import HttpFunctionClient


class CloudFunctionClient(CloudFunction, HttpFunctionClient):
    """Calls a Google Cloud Function over HTTP. `cmd` names the action.

    Configuration parameters, in addition to the options of `FunctionClient`:

    - `connection.uri`: the function's URL
    - `connection.protocol`, `.project_id`, `.region`, `.function`: if `uri` is missing, the URL is
      `protocol://region-project_id.cloudfunctions.net/function`
    - `connection.discovery_key`: look the connection up in a discovery service
    - `credential.auth_token`: an ID token, sent as `Authorization: Bearer`; if it is missing or empty, no token is
      sent. Google's tokens expire after an hour
    - `credential.identity`, `.audience`: `default` sends an ID token of the platform's identity instead
    - `credential.store_key`: look the credential up in a credential store

    ```python
    class OrdersClient(CloudFunctionClient):
        def get_order(self, context, order_id):
            return self._call("get_order", context, {"order_id": order_id})

    client = OrdersClient()
    client.configure(ConfigParams.from_tuples(
        "connection.uri", "https://europe-west1-my-shop.cloudfunctions.net/orders",
        "credential.auth_token", "TOKEN"))
    client.open("123")
    ```
    """
