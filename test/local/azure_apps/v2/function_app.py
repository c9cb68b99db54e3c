"""The v2 model: decorators, routes, levels, a blueprint, shared code."""

import azure.functions as func
from more_functions import more

app = func.FunctionApp()
app.register_functions(more)


@app.function_name(name="Greeting")
@app.route(route="hello/{name:alpha}", methods=[func.HttpMethod.GET], auth_level=func.AuthLevel.ANONYMOUS)
def greet(req: func.HttpRequest) -> str:
    return f"Hello, {req.route_params['name']}!"


@app.route(route="items/{id:int?}", methods=["GET", "POST"], auth_level="anonymous")
async def items(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(f"{req.method} {req.route_params.get('id')}")


@app.route(route="items/{word:alpha}", methods=["GET"], auth_level="anonymous")
def by_word(req: func.HttpRequest) -> str:
    return f"the word {req.route_params['word']}"


@app.route(route="items/special", methods=["GET"], auth_level="anonymous")
def special(req: func.HttpRequest) -> str:
    return "the literal route goes first"


@app.route(auth_level="admin")
def administer(req: func.HttpRequest) -> str:
    return "administered"


@app.route()
def by_default(req: func.HttpRequest) -> str:
    return "opened"


@app.route(binding_arg_name="response", auth_level="anonymous")
def by_output(req: func.HttpRequest, response: func.Out[func.HttpResponse]) -> None:
    if "say" in req.params:
        response.set(func.HttpResponse(req.params["say"], status_code=203))


@app.timer_trigger(schedule="0 0 * * * *", arg_name="timer")
def hourly(timer: func.TimerRequest) -> None:
    pass


@app.route(auth_level="anonymous")
@app.queue_output(arg_name="message", queue_name="work", connection="AzureWebJobsStorage")
def enqueue(req: func.HttpRequest, message: func.Out[str]) -> str:
    message.set("work")
    return str(message.get())


@app.route(auth_level="anonymous")
@app.blob_input(arg_name="content", path="samples/{name}", connection="AzureWebJobsStorage")
def from_blob(req: func.HttpRequest, content: func.InputStream) -> str:
    return content.read().decode()
