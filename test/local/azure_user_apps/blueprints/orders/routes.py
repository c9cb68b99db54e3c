import json

import azure.functions as func
from stock import amount_of

bp = func.Blueprint()


@bp.function_name("PlaceOrder")
@bp.route(route="orders", methods=[func.HttpMethod.POST])
def place_order(req: func.HttpRequest) -> func.HttpResponse:
    order = req.get_json()
    left = amount_of(order["item"]) - order["amount"]
    if left < 0:
        error = {"category": "Conflict", "code": "SOLD_OUT", "status": 409, "message": f"{-left} are missing"}
        return func.HttpResponse(json.dumps(error), status_code=409, mimetype="application/json")
    return func.HttpResponse(json.dumps({"ordered": order["amount"], "left": left}), mimetype="application/json")
