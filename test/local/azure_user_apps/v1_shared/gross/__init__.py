import json
import logging

import azure.functions as func
from shared.money import with_vat


def main(req: func.HttpRequest) -> func.HttpResponse:
    logging.info("Python HTTP trigger function processed a request.")
    return func.HttpResponse(json.dumps({"gross": with_vat(req.get_json()["net"])}))
