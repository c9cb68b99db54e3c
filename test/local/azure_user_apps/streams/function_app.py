import asyncio
import json

import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


async def numbers(last):
    yield "["
    for number in range(last):
        await asyncio.sleep(0)
        yield f"{number},"
    yield f"{last}]"


@app.route(route="count", methods=[func.HttpMethod.POST])
async def count(req: Request) -> StreamingResponse:
    body = b"".join([chunk async for chunk in req.stream()])
    return StreamingResponse(numbers(json.loads(body)["last"]), media_type="application/json")


@app.route(route="size/{name}")
async def size(req: Request) -> JSONResponse:
    length = 0
    async for chunk in req.stream():
        length += len(chunk)
    return JSONResponse({"name": req.path_params["name"], "some": length > 0})
