"""An ASGI framework as an app. The test checks its lifespan."""

from contextlib import asynccontextmanager

import azure.functions as func
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

EVENTS = []


@asynccontextmanager
async def lifespan(_application):
    EVENTS.append("started")
    yield
    EVENTS.append("ended")


def hello(request):
    return PlainTextResponse(f"Hello, {request.path_params['name']}! {EVENTS}")


routes = [Route("/", lambda _request: PlainTextResponse("root")), Route("/hello/{name}", hello)]
app = func.AsgiFunctionApp(Starlette(routes=routes, lifespan=lifespan), http_auth_level=func.AuthLevel.ANONYMOUS)
