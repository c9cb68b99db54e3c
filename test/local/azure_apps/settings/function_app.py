import os

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route()
def setting(req: func.HttpRequest) -> str:
    return os.environ[req.params["name"]]


@app.route()
def switched_off(req: func.HttpRequest) -> str:
    return "on"
