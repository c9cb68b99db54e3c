import json

import azure.functions as func


class Greeter:
    def __init__(self, greeting):
        self._greeting = greeting
        self._calls = 0

    def __call__(self, req: func.HttpRequest) -> func.HttpResponse:
        self._calls += 1
        greeting = {"greeting": f"{self._greeting}, {req.get_json()['name']}!", "calls": self._calls}
        return func.HttpResponse(json.dumps(greeting))


handler = Greeter("Hello")
