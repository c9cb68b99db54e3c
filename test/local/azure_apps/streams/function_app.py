"""HTTP streams: the functions receive and return requests and responses of FastAPI."""

import threading

import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
GO_ON = threading.Event()
BEGUN = threading.Event()


def parts():
    yield "first"
    GO_ON.wait(10)
    yield "second"


@app.route(route="download", methods=[func.HttpMethod.GET])
async def download(req: Request) -> StreamingResponse:
    return StreamingResponse(parts(), media_type="text/event-stream")


@app.route(route="upload/{name}", methods=[func.HttpMethod.POST])
async def upload(req: Request) -> JSONResponse:
    size = 0
    async for chunk in req.stream():
        size += len(chunk)
        BEGUN.set()
    return JSONResponse({"name": req.path_params["name"], "size": size}, status_code=201)


@app.route()
def plain(req):
    return {"host": req.headers["host"][:9], "query": req.query_params["q"]}


@app.route()
def fails(req: Request):
    raise ValueError("reason")


@app.route()
def with_sdk_request(req: func.HttpRequest) -> str:
    return ""
