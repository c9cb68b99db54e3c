from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pip_services4_components.build import Factory
from pip_services4_components.refer import Descriptor

from .. import clients
from ..clients._serverless_client import ServerlessClient


class DefaultServerlessFactory(Factory):
    """Creates the commandable clients from their descriptors. The name in a descriptor is the name of the service.

    - `pip-services:client:commandable-azurefunc:*:1.0`: `CommandableAzureFunctionClient`
    - `pip-services:client:commandable-cloudfunc:*:1.0`: `CommandableCloudFunctionClient`
    - `pip-services:client:commandable-lambda:*:1.0`: `CommandableLambdaClient`
    - `pip-services:client:async-commandable-azurefunc:*:1.0`: `AsyncCommandableAzureFunctionClient`
    - `pip-services:client:async-commandable-cloudfunc:*:1.0`: `AsyncCommandableCloudFunctionClient`
    - `pip-services:client:async-commandable-lambda:*:1.0`: `AsyncCommandableLambdaClient`

    If the descriptor has no name, the client sends commands without a prefix.

    ```python
    client = DefaultServerlessFactory().create(
        Descriptor("pip-services", "client", "commandable-lambda", "orders", "1.0"))
    client.configure({"connection.arn": "orders", "connection.region": "eu-west-1"})
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
        self.register(self.CommandableAzureFunctionClientDescriptor, _creator("CommandableAzureFunctionClient"))
        self.register(self.CommandableCloudFunctionClientDescriptor, _creator("CommandableCloudFunctionClient"))
        self.register(self.CommandableLambdaClientDescriptor, _creator("CommandableLambdaClient"))
        self.register(
            self.AsyncCommandableAzureFunctionClientDescriptor, _creator("AsyncCommandableAzureFunctionClient")
        )
        self.register(
            self.AsyncCommandableCloudFunctionClientDescriptor, _creator("AsyncCommandableCloudFunctionClient")
        )
        self.register(self.AsyncCommandableLambdaClientDescriptor, _creator("AsyncCommandableLambdaClient"))

    def create(self, locator: Any) -> Any:
        """Creates a component. The errors of a client contain its descriptor.

        Args:
            locator: the component's `Descriptor`.

        Returns:
            The component, or None if no component is registered for the descriptor.
        """
        component = super().create(locator)
        if isinstance(component, ServerlessClient):
            component._descriptor = locator
        return component


def _creator(client: str) -> Callable[[Descriptor], ServerlessClient]:
    """Imports the class on first use: the asynchronous clients import asyncio."""
    return lambda descriptor: getattr(clients, client)(descriptor.get_name())
