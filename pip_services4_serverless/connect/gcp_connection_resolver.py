from __future__ import annotations

from pip_services4_components.config import ConfigParams
from pip_services4_components.context import IContext

from .._tracebacks import hide_failures
from ._connection_resolver import ServerlessConnectionResolver
from .gcp_connection_params import GcpConnectionParams

__tracebackhide__ = hide_failures


class GcpConnectionResolver(ServerlessConnectionResolver[GcpConnectionParams]):
    """Resolves `GcpConnectionParams` from configuration, discovery services and credential stores.

    ```python
    resolver = GcpConnectionResolver()
    resolver.configure(ConfigParams.from_tuples(
        "connection.project_id", "my-shop",
        "connection.region", "europe-west1",
        "connection.function", "orders"))
    assert resolver.resolve("123").get_uri() == "https://europe-west1-my-shop.cloudfunctions.net/orders"
    ```
    """

    def _make_params(self, context: IContext | None, config: ConfigParams) -> GcpConnectionParams:
        params = GcpConnectionParams(config)
        params.normalize(context)
        return params
