import azure.functions as func


def main(req: func.HttpRequest, answer: func.Out[func.HttpResponse]):
    answer.set(func.HttpResponse("by an output", status_code=201))
