import azure.functions as func


def main(req: func.HttpRequest, message: func.Out[func.QueueMessage]) -> str:
    message.set(req.params["body"])
    return req.params["body"]
