from __future__ import annotations

from pip_services4_components.config import ConfigParams
from pip_services4_components.context import IContext

from .._tracebacks import hide_failures
from ._connection_resolver import ServerlessConnectionResolver
from .azure_connection_params import AzureConnectionParams

__tracebackhide__ = hide_failures


class AzureConnectionResolver(ServerlessConnectionResolver[AzureConnectionParams]):
    """Resolves `AzureConnectionParams` from configuration, discovery services and credential stores.

    ```python
    resolver = AzureConnectionResolver()
    resolver.configure(ConfigParams.from_tuples(
        "connection.app_name", "shop",
        "connection.function_name", "orders",
        "credential.auth_code", "K"))
    assert resolver.resolve("123").get_function_uri() == "https://shop.azurewebsites.net/api/orders"
    ```
    """

    def _make_params(self, context: IContext | None, config: ConfigParams) -> AzureConnectionParams:
        params = AzureConnectionParams(config)
        params.normalize(context)
        return params
