"""The function app that the docstrings' examples serve."""

import json

import azure.functions as func

app = func.FunctionApp()


@app.route(route="greeter", methods=["POST"])
def greeter(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"greeting": f"Hello, {req.get_json()['name']}!"}))
