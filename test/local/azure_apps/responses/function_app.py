"""A function for each kind of response."""

import json
import logging
import threading

import anyio.to_thread
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

TEXTS = {
    "plain": "some text",
    "empty": "",
    "number": "5",
    "list": "[1,  2]",
    "object": '{"a":  "\u00e9"}',
    "string": '"quoted"',
    "null": "null",
    "response": '{"body": "made", "status": 201, "headers": {"x-made": "yes"}}',
    "json_response": '{"Body": {"a": 1}, "statusCode": "202"}',
    "no_body": '{"body": null}',
}


@app.route(methods=["GET"])
def text(req: func.HttpRequest) -> str:
    return TEXTS[req.params["kind"]]


@app.route()
def wrong(req):
    results = {"none": None, "dict": {"a": 1}, "bytes": b"a", "status": func.HttpResponse(status_code=99)}
    return results[req.params["kind"]]


@app.route()
def fails(req: func.HttpRequest) -> str:
    raise ValueError("a secret reason")


@app.route()
async def exits(req: func.HttpRequest) -> str:
    raise SystemExit(3)


@app.route()
def exits_in_thread(req: func.HttpRequest) -> str:
    raise SystemExit(3)


@app.generic_trigger(arg_name="req", type="httpTrigger", route="nothing")
def nothing(req):
    pass


@app.generic_trigger(arg_name="req", type="httpTrigger", route="unexpected")
def unexpected(req):
    return "a value without $return"


@app.route()
def response(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("body", status_code=418, headers={"X-One": "1"}, mimetype="text/x", charset="latin-1")
    response.headers.add("X-Twice", "first")
    response.headers.add("X-Twice", "second")
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2")
    response.headers["Content-Length"] = "1"
    return response


@app.route()
def no_content(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("dropped", status_code=204)


@app.route()
def injected(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("body")
    response.headers._list.append(("X-Bad", "a\r\nX-Injected: 1"))
    return response


@app.route(route="echo/{*rest}")
def echo(req: func.HttpRequest) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route_params": dict(req.route_params),
        "body": req.get_body().decode(),
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


@app.route()
def form(req: func.HttpRequest) -> func.HttpResponse:
    with req.files["f"].stream as file:
        return func.HttpResponse(f"{req.form['a']} {file.read().decode()}")


@app.route()
def in_thread(req: func.HttpRequest) -> str:
    return threading.current_thread().name


@app.route()
async def on_loop(req: func.HttpRequest) -> str:
    return threading.current_thread().name


@app.route()
def logs(req: func.HttpRequest, context: func.Context) -> str:
    logging.warning("on the root")
    logging.getLogger("of my own").warning("on a logger")
    thread = threading.Thread(target=log_in_thread, args=(context,))
    thread.start()
    thread.join()
    return context.invocation_id


def log_in_thread(context: func.Context) -> None:
    logging.warning("before")
    context.thread_local_storage.invocation_id = context.invocation_id
    logging.warning("in a thread")


@app.route()
def own_storage(req: func.HttpRequest, context: func.Context) -> str:
    return json.dumps([read_storage(context), context.invocation_id])


@app.route()
async def later_storage(req: func.HttpRequest, context: func.Context) -> str:
    return json.dumps(await anyio.to_thread.run_sync(read_storage, context))


def read_storage(context: func.Context) -> list[int | str]:
    return [threading.get_ident(), context.thread_local_storage.invocation_id]


@app.route()
async def context(req: func.HttpRequest, context: func.Context) -> str:
    return json.dumps(
        {
            "name": context.function_name,
            "directory": context.function_directory,
            "id": context.invocation_id,
            "traceparent": [context.trace_context.trace_parent, context.trace_context.Traceparent],
            "tracestate": [context.trace_context.trace_state, context.trace_context.Tracestate],
            "retries": [context.retry_context.retry_count, context.retry_context.max_retry_count],
        }
    )
