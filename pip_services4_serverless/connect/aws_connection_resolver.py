from __future__ import annotations

from pip_services4_components.config import ConfigParams
from pip_services4_components.context import IContext

from .._tracebacks import hide_failures
from ._connection_resolver import ServerlessConnectionResolver
from .aws_connection_params import AwsConnectionParams

__tracebackhide__ = hide_failures


class AwsConnectionResolver(ServerlessConnectionResolver[AwsConnectionParams]):
    """Resolves `AwsConnectionParams` from configuration, discovery services and credential stores.

    ```python
    resolver = AwsConnectionResolver()
    resolver.configure(ConfigParams.from_tuples(
        "connection.region", "eu-west-1", "connection.arn", "orders"))
    assert resolver.resolve("123").get_arn() == "orders"
    ```
    """

    def _make_params(self, context: IContext | None, config: ConfigParams) -> AwsConnectionParams:
        params = AwsConnectionParams(config)
        params.validate(context)
        return params
