"""An app whose module contains mocks and proxies, because its author tests it directly."""

import json
from unittest.mock import ANY, MagicMock, call, sentinel  # noqa: F401

import azure.functions as func
from werkzeug.local import LocalProxy


def _no_database():
    raise RuntimeError("there is no database outside of a request")


class Settings:
    def __getattr__(self, name):
        raise KeyError(name)


database = LocalProxy(_no_database)
settings = Settings()
mailer = MagicMock()
app = func.FunctionApp()


@app.route(methods=["POST"])
def send(req: func.HttpRequest) -> str:
    message = req.get_json()
    mailer.send(message["to"])
    return json.dumps({"sent": mailer.send.call_args == call(message["to"]), "to": message["to"]})
