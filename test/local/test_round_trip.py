"""A function receives the values that a caller sends, and the caller gets the same values back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.clients import CLIENTS

from pip_services4_serverless.local import AzureFunctionHost, LambdaHost

app = func.FunctionApp()


@app.route(route="echo", methods=["POST"])
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps({"event": req.get_json()}), mimetype="application/json")


@pytest.fixture(scope="module")
def clients() -> Iterator[dict[str, Any]]:
    """An open client for a function that echoes, on each host."""
    with ExitStack() as resources:
        azure, aws = resources.enter_context(AzureFunctionHost(app)), resources.enter_context(LambdaHost())
        aws.deploy("echo", Path(__file__).with_name("lambda_apps"), "app.echo")
        clients = {}
        for provider, host in (("azure", azure), ("lambda", aws)):
            client = clients[provider] = CLIENTS[provider]("echo")
            client.configure(host.config("echo"))
            client.open("test")
            resources.callback(client.close, "test")
        yield clients


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=10,
)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(value=values)
@example(value={"": [None, -0.0, 1e308, 2**70, "\0\u2028\U0001f600<&>'\"\\", {"cmd": {"trace_id": []}}]})
def test_any_json_value_is_returned_unchanged(clients: dict[str, Any], value: Any) -> None:
    """The functions run in the runtime of each provider. The payload has `cmd` and `trace_id`."""
    for client in clients.values():
        event = client.call_command("say", "T", {"value": value})["event"]
        # Compared as text, True is different from 1, and 0.0 from -0.0.
        assert json.dumps(event) == json.dumps({"value": value, "cmd": "echo.say", "trace_id": "T"})
