"""The service as a Google Cloud Function."""

from typing import Any

import functions_framework
from flask import Request
from pip_services4_commons.errors import ApplicationException

from pip_services4_serverless.local._demo.dummies import execute


@functions_framework.http
def dummies(request: Request) -> Any:
    """Responds like other services of pip-services: with the result, or with the exception and its status, as JSON."""
    try:
        return execute(request.get_json())
    except ApplicationException as err:
        return err.to_json(), err.status
