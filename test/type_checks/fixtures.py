"""A user's test that annotates the pytest plugin's fixtures. Type checkers know the class of each client."""

# ruff: noqa: F841 - only the types of the names matter

from pip_services4_serverless.clients import AzureFunctionClient, CloudFunctionClient, LambdaClient
from pip_services4_serverless.local import AzureFunctionHost, GoogleFunctionHost, LambdaHost
from pip_services4_serverless.local.pytest_plugin import (
    AzureClientFixture,
    AzureFunctionHostFixture,
    GoogleClientFixture,
    GoogleFunctionHostFixture,
    LambdaClientFixture,
    LambdaHostFixture,
)


class OnAzure(AzureFunctionClient):
    pass


class OnGoogle(CloudFunctionClient):
    pass


class OnLambda(LambdaClient):
    pass


class Plain:
    def configure(self, config: object) -> None: ...
    def open(self, context: object) -> None: ...
    def close(self, context: object) -> None: ...


def test(
    azure_function_host: AzureFunctionHostFixture,
    lambda_host: LambdaHostFixture,
    azure_client: AzureClientFixture,
    lambda_client: LambdaClientFixture,
    google_function_host: GoogleFunctionHostFixture,
    google_client: GoogleClientFixture,
) -> None:
    google: GoogleFunctionHost = google_function_host("hello", ".", allow_unauthenticated=True)
    on_google: OnGoogle = google_client(google, "hello", OnGoogle, timeout=500)
    on_google_too: OnGoogle = google_client(".", "hello", OnGoogle)
    azure: AzureFunctionHost = azure_function_host(".", enforce_keys=False)
    aws: LambdaHost = lambda_host("hello", ".", "app.handler", timeout=5)
    first: OnAzure = azure_client(azure, OnAzure, function="hello", timeout=500)
    second: OnLambda = lambda_client(".", "app.handler", OnLambda)
    third: OnLambda = lambda_client(aws, "hello", OnLambda, retries=0)
    plain: Plain = azure_client(".", Plain)
    wrong: int = lambda_client(".", "app.handler", Plain)  # error
