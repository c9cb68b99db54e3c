import json
from http.cookies import SimpleCookie

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(methods=["POST"])
def login(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(json.dumps({"user": req.get_json()["user"]}), mimetype="application/json")
    response.headers.add("Set-Cookie", "session=a.b-c; Max-Age=3600; Path=/; HttpOnly; Secure; SameSite=Strict")
    response.headers.add("Set-Cookie", "seen=1; Expires=Thu, 12-Jan-2017 13:55:08 GMT")
    return response


@app.route()
def whoami(req: func.HttpRequest) -> str:
    cookie = SimpleCookie(req.headers.get("Cookie", ""))
    return json.dumps({"session": cookie["session"].value if "session" in cookie else None})


@app.route()
def bad(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("{}", headers={"Set-Cookie": "a=1; Expires=tomorrow-ish"})
