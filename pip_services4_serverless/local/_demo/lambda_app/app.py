"""The service as an AWS Lambda function."""

from typing import Any

from pip_services4_serverless.local._demo.dummies import execute


def handler(event: dict[str, Any], context: Any) -> Any:
    """Returns the result. If an exception is raised, Lambda sends its class and its message."""
    return execute(event)
