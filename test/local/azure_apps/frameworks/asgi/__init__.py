import azure.functions as func
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

application = Starlette(routes=[Route("/asgi/hello/{name}", lambda request: JSONResponse(request.path_params))])


async def main(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return await func.AsgiMiddleware(application).handle_async(req, context)
