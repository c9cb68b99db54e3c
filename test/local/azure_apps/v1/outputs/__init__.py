import azure.functions as func


def main(req: func.HttpRequest, response: func.Out[func.HttpResponse]):
    response.set(func.HttpResponse("by an output", status_code=201))
