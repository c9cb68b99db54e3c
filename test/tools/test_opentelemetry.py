"""OpenTelemetry's instrumentations of requests and botocore see each call once, and send the trace."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from opentelemetry.instrumentation.botocore import BotocoreInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from pip_services4_components.config import ConfigParams
from support.clients import CLIENTS, failure

from pip_services4_serverless.local import AzureFunctionHost, LambdaHost

ECHO = Path(__file__).with_name("lambda_echo.py")


@pytest.fixture(scope="module")
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture(scope="module")
def tracer(exporter: InMemorySpanExporter) -> Iterator[Tracer]:
    """The instrumentations are active while the tests of this module run."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentors: list[Any] = [kind() for kind in (RequestsInstrumentor, BotocoreInstrumentor)]
    for instrumentor in instrumentors:
        instrumentor.instrument(tracer_provider=provider)
    yield provider.get_tracer("test")
    for instrumentor in instrumentors:
        instrumentor.uninstrument()
    provider.shutdown()


def echo_app() -> func.FunctionApp:
    """Returns the payload and the request's trace headers."""
    app = func.FunctionApp()

    @app.route(methods=["POST"])
    def echo(req: func.HttpRequest) -> func.HttpResponse:
        return func.HttpResponse(json.dumps({**req.get_json(), "headers": dict(req.headers)}))

    return app


@pytest.fixture(scope="module")
def configs() -> Iterator[dict[str, ConfigParams]]:
    """The configuration of the same function on both local hosts."""
    with AzureFunctionHost(echo_app()) as azure, LambdaHost() as aws:
        aws.deploy("echo", ECHO, "lambda_echo.handler")
        yield {"azure": azure.config("echo"), "lambda": aws.config("echo")}


@pytest.fixture
def client(
    provider: str, configs: dict[str, ConfigParams], tracer: Tracer, exporter: InMemorySpanExporter
) -> Iterator[Any]:
    client = CLIENTS[provider]("echo")
    client.configure(configs[provider])
    client.open("test")
    exporter.clear()
    yield client
    client.close("test")


def test_a_hook_can_read_the_response(configs: dict[str, ConfigParams]) -> None:
    """The call returns it too."""
    received: list[str] = []
    instrumentor = RequestsInstrumentor()
    instrumentor.uninstrument()
    instrumentor.instrument(response_hook=lambda _span, _request, response: received.append(response.text))
    client = CLIENTS["azure"]("echo")
    client.configure(configs["azure"])
    client.open("T")
    try:
        result = client.call_command("get", "T", {"id": 7})
    finally:
        client.close("T")
        instrumentor.uninstrument()

    assert json.loads(received[0]) == result
    assert result["id"] == 7


def spans_of(exporter: InMemorySpanExporter) -> tuple[ReadableSpan, ...]:
    return tuple(span for span in exporter.get_finished_spans() if span.kind is SpanKind.CLIENT)


def test_a_call_is_one_client_span(client: Any, tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    """Its parent is the current span of the caller."""
    with tracer.start_as_current_span("caller") as caller:
        client.call_command("echo", "T")
    (span,) = spans_of(exporter)
    assert span.parent is not None
    assert span.parent.span_id == caller.get_span_context().span_id
    assert span.context.trace_id == caller.get_span_context().trace_id
    assert span.status.status_code is not StatusCode.ERROR


def test_the_function_receives_the_trace(client: Any, tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    """`traceparent` has the id of the client span. It is in the headers on Azure, and in the payload on Lambda."""
    with tracer.start_as_current_span("caller"):
        received = client.call_command("echo", "T", {"text": "Größe"})
    (span,) = spans_of(exporter)
    ids = f"{span.context.trace_id:032x}-{span.context.span_id:016x}"
    assert received["headers"]["traceparent"] == f"00-{ids}-{span.context.trace_flags:02x}"
    assert (received["cmd"], received["trace_id"], received["text"]) == ("echo.echo", "T", "Größe")


@pytest.mark.parametrize("headers", [{"id": "1"}, ["id"], "id"])
def test_a_parameter_may_be_named_headers(
    client: Any, provider: str, tracer: Tracer, exporter: InMemorySpanExporter, headers: Any
) -> None:
    """On Lambda the extension adds the trace to it if it is a dict, and does not change it otherwise."""
    received = client.call_command("echo", "T", {"headers": headers})["headers"]
    if provider == "azure":
        assert "traceparent" in received  # the echo replaces the parameter by the request's headers
    else:
        assert received.pop("traceparent", None) if isinstance(headers, dict) else True
        assert received == headers


def test_spans_of_several_threads_have_the_right_parents(
    client: Any, tracer: Tracer, exporter: InMemorySpanExporter
) -> None:
    """Several threads call one client. The parent of each span is the span of its own thread."""

    def call(name: str) -> None:
        with tracer.start_as_current_span(name):
            client.call_command("echo", name)

    threads = [threading.Thread(target=call, args=(f"caller {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    parents = [span.parent.span_id for span in spans_of(exporter) if span.parent is not None]
    callers = [span.context.span_id for span in exporter.get_finished_spans() if span.name.startswith("caller")]
    assert sorted(parents) == sorted(callers)
    assert len(parents) == 4


def test_each_attempt_is_a_span(provider: str, tracer: Tracer, exporter: InMemorySpanExporter) -> None:
    """All attempts of a call have the same parent, and show that they failed."""
    client = CLIENTS[provider]("echo")
    arn = "arn:aws:lambda:eu-west-1:123456789012:function:echo"
    unused_port = ("connection.uri", "http://127.0.0.1:9/api/echo" if provider == "azure" else "http://127.0.0.1:9")
    keys = ("connection.arn", arn, "credential.access_id", "test", "credential.access_key", "test")
    options = ("options.retries", "1")
    client.configure(ConfigParams.from_tuples(*unused_port, *options, *(keys if provider == "lambda" else ())))
    client.open("test")
    exporter.clear()
    with tracer.start_as_current_span("caller") as caller:
        assert failure(client).code == "CANNOT_CONNECT"
    client.close("test")
    spans = spans_of(exporter)
    assert [span.parent and span.parent.span_id for span in spans] == [caller.get_span_context().span_id] * 2
    assert {span.status.status_code for span in spans} == {StatusCode.ERROR}
