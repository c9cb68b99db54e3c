from __future__ import annotations

from typing import Any

from pip_services4_components.build import Factory
from pip_services4_components.refer import Descriptor

from ..clients import (
    AsyncCommandableAzureFunctionClient,
    AsyncCommandableCloudFunctionClient,
    AsyncCommandableLambdaClient,
    CommandableAzureFunctionClient,
    CommandableCloudFunctionClient,
    CommandableLambdaClient,
)
from ..clients._serverless_client import ServerlessClient


class DefaultServerlessFactory(Factory):
    """Creates the commandable clients by their descriptors; the descriptor's name is the service's.

    - `pip-services:client:commandable-azurefunc:*:1.0`: `CommandableAzureFunctionClient`
    - `pip-services:client:commandable-cloudfunc:*:1.0`: `CommandableCloudFunctionClient`
    - `pip-services:client:commandable-lambda:*:1.0`: `CommandableLambdaClient`
    - `pip-services:client:async-commandable-azurefunc:*:1.0`: `AsyncCommandableAzureFunctionClient`
    - `pip-services:client:async-commandable-cloudfunc:*:1.0`: `AsyncCommandableCloudFunctionClient`
    - `pip-services:client:async-commandable-lambda:*:1.0`: `AsyncCommandableLambdaClient`

    A descriptor without a name gives a client without one, which sends the commands as they are.

    ```python
    client = DefaultServerlessFactory().create(
        Descriptor("pip-services", "client", "commandable-lambda", "orders", "1.0"))
    client.configure(ConfigParams.from_tuples("connection.arn", "orders", "connection.region", "eu-west-1"))
    ```
    """

    CommandableAzureFunctionClientDescriptor = Descriptor("pip-services", "client", "commandable-azurefunc", "*", "1.0")
    CommandableCloudFunctionClientDescriptor = Descriptor("pip-services", "client", "commandable-cloudfunc", "*", "1.0")
    CommandableLambdaClientDescriptor = Descriptor("pip-services", "client", "commandable-lambda", "*", "1.0")
    AsyncCommandableAzureFunctionClientDescriptor = Descriptor(
        "pip-services", "client", "async-commandable-azurefunc", "*", "1.0"
    )
    AsyncCommandableCloudFunctionClientDescriptor = Descriptor(
        "pip-services", "client", "async-commandable-cloudfunc", "*", "1.0"
    )
    AsyncCommandableLambdaClientDescriptor = Descriptor(
        "pip-services", "client", "async-commandable-lambda", "*", "1.0"
    )

    def __init__(self) -> None:
        super().__init__()
        self.register(
            self.CommandableAzureFunctionClientDescriptor,
            lambda locator: CommandableAzureFunctionClient(locator.get_name()),
        )
        self.register(
            self.CommandableCloudFunctionClientDescriptor,
            lambda locator: CommandableCloudFunctionClient(locator.get_name()),
        )
        self.register(
            self.CommandableLambdaClientDescriptor,
            lambda locator: CommandableLambdaClient(locator.get_name()),
        )
        self.register(
            self.AsyncCommandableAzureFunctionClientDescriptor,
            lambda locator: AsyncCommandableAzureFunctionClient(locator.get_name()),
        )
        self.register(
            self.AsyncCommandableCloudFunctionClientDescriptor,
            lambda locator: AsyncCommandableCloudFunctionClient(locator.get_name()),
        )
        self.register(
            self.AsyncCommandableLambdaClientDescriptor,
            lambda locator: AsyncCommandableLambdaClient(locator.get_name()),
        )

    def create(self, locator: Any) -> Any:
        """Creates the component of a descriptor, or returns None for an unknown one. A client's errors name it."""
        component = super().create(locator)
        if isinstance(component, ServerlessClient):
            component._descriptor = locator
        return component
