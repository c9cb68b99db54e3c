import azure.functions as func
from werkzeug.wrappers import Request, Response


@Request.application
def application(request):
    return Response(f"<p>{request.path} {request.args.get('q')} {request.data.decode()}</p>", mimetype="text/html")


app = func.WsgiFunctionApp(app=application, http_auth_level=func.AuthLevel.ANONYMOUS)
