import azure.functions as func


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode(), environ["wsgi.input"].read()]


def main(req: func.HttpRequest, context) -> func.HttpResponse:
    return func.WsgiMiddleware(application).handle(req, context)
