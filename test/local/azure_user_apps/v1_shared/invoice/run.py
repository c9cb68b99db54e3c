import azure.functions as func

from ..shared import money
from .number import next_number


def write(request: func.HttpRequest, response: func.Out[func.HttpResponse]):
    net = request.get_json()["net"]
    year = request.route_params.get("year", "none")
    response.set(func.HttpResponse(f'{{"number": {next_number()}, "gross": {money.with_vat(net)}, "year": "{year}"}}'))
