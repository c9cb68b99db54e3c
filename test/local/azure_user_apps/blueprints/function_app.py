import azure.functions as func
from orders import bp as orders
from stock.levels import bp as levels

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)
app.register_functions(orders)
app.register_blueprint(levels)


@app.timer_trigger(schedule="0 0 3 * * *", arg_name="timer")
def clean_up(timer: func.TimerRequest) -> None:
    pass
