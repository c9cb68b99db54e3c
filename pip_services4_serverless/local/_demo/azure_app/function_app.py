"""The service as an Azure Function (v2 model)."""

import json

import azure.functions as func
from pip_services4_commons.errors import ApplicationException

from pip_services4_serverless.local._demo.dummies import execute

app = func.FunctionApp()


@app.route(route="dummies", methods=["POST"])
def dummies(req: func.HttpRequest) -> func.HttpResponse:
    """Responds like other services of pip-services: with the result, or with the exception and its status, as JSON."""
    try:
        result, status = execute(req.get_json()), 200
    except ApplicationException as err:
        result, status = err.to_json(), err.status
    return func.HttpResponse(json.dumps(result), status_code=status, mimetype="application/json")
