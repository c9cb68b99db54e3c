# function_app.py
"""The function: `app` is for Azure, `handler` for Lambda, `on_google` for Google."""

import json

import azure.functions as func
from pip_services4_commons.errors import (
    ApplicationException,
    BadRequestException,
    NotFoundException,
)

STOCK = {"tea": 5, "coffee": 3}


def take(trace_id, article, amount):
    if article not in STOCK:
        raise NotFoundException(trace_id, "NO_ARTICLE", f"There is no {article}")
    STOCK[article] -= amount
    return {"article": article, "left": STOCK[article]}


def handler(event, context):
    trace_id, cmd = event["trace_id"], event["cmd"]
    if cmd != "stock.take":
        raise BadRequestException(trace_id, "NO_ACTION", f"There is no action {cmd}")
    return take(trace_id, event["article"], event["amount"])


app = func.FunctionApp()


@app.route(route="stock", methods=["POST"])
def stock(req: func.HttpRequest) -> func.HttpResponse:
    try:
        return func.HttpResponse(json.dumps(handler(req.get_json(), None)))
    except ApplicationException as err:
        return func.HttpResponse(json.dumps(err.to_json()), status_code=err.status)


def on_google(request):
    try:
        return handler(request.get_json(), None)
    except ApplicationException as err:
        return err.to_json(), err.status
