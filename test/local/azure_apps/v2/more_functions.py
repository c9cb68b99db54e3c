"""A blueprint."""

import azure.functions as func
from shared_code.doubling import double

more = func.Blueprint()


@more.route(route="double/{value:int}", auth_level="anonymous")
def doubled(req: func.HttpRequest) -> str:
    from shared_code import late  # imported at the first call

    return f"{double(int(req.route_params['value']))} {late.WORD}"
