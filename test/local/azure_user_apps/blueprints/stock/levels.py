import json

import azure.functions as func

from . import amount_of

bp = func.Blueprint()


@bp.route(route="stock/{item:alpha}", auth_level=func.AuthLevel.ANONYMOUS)
async def stock_level(req: func.HttpRequest, context: func.Context) -> str:
    return json.dumps({"function": context.function_name, "left": amount_of(req.route_params["item"])})
