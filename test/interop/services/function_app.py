"""The Dummy service on pip-services4-azure 0.0.1, in the three ways that the package supports."""

from pathlib import Path
from typing import Any

import azure.functions as func
from dummies import SERVICE, DummyService, as_parameters, factory_of, to_json_text
from pip_services4_azure.containers import AzureFunction, CommandableAzureFunction
from pip_services4_azure.services import AzureFunctionController, CommandableAzureFunctionController
from pip_services4_commons.convert import TypeCode
from pip_services4_commons.errors import ApplicationException
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context
from pip_services4_data.validate import ObjectSchema


class DummyCommandableFunction(CommandableAzureFunction):
    """Registers the commands without a prefix."""

    def __init__(self) -> None:
        super().__init__("dummies", "Commandable function")
        self._dependency_resolver.put("service", SERVICE)
        self._factories.add(factory_of())


class DummyCommandableController(CommandableAzureFunctionController):
    """Registers the commands as `dummies.*`."""

    def __init__(self) -> None:
        super().__init__("dummies")
        self._dependency_resolver.put("service", SERVICE)


class DummyController(AzureFunctionController):
    """Registers explicit actions as `dummies.*`."""

    def __init__(self) -> None:
        super().__init__("dummies")
        self._dependency_resolver.put("service", SERVICE)

    def register(self) -> None:
        service: DummyService = self._dependency_resolver.get_one_required("service")
        schemas = {
            name: ObjectSchema(True).with_required_property(
                "body", ObjectSchema(True).with_required_property("dummy_id", TypeCode.String)
            )
            for name in ("get_dummy", "get_required_dummy", "delete_dummy")
        }
        for command in service.get_command_set().get_commands():
            self._register_action(command.get_name(), schemas.get(command.get_name()), self._action(command))

    def _action(self, command: Any) -> Any:
        def action(req: func.HttpRequest) -> func.HttpResponse:
            payload = req.get_json()
            context = Context.from_trace_id(payload["trace_id"])
            try:
                result = command.execute(context, as_parameters(payload))
            except ApplicationException as err:
                if err.code == "EXEC_FAILED":
                    raise  # an error that its author did not expect
                return func.HttpResponse(to_json_text(err.to_json()), status_code=err.status)
            return func.HttpResponse(to_json_text(result), mimetype="application/json")

        return action


class DummyFunction(AzureFunction):
    """Runs controllers."""

    def __init__(self) -> None:
        super().__init__("dummies", "Function with controllers")
        self._factories.add(
            factory_of(("commandable-azurefunc", DummyCommandableController), ("azurefunc", DummyController))
        )


def handler_of(function: AzureFunction, controller: str = "") -> Any:
    """Does not use `run()`, which fails in this release."""
    parameters = ConfigParams.from_tuples("CONTROLLER", controller)
    function.read_config_from_file(None, str(Path(__file__).with_name("config.yml")), parameters)
    function.open(None)
    return function.get_handler()


app = func.FunctionApp()
HANDLERS = {
    "commandable_function": handler_of(DummyCommandableFunction()),
    "commandable_controller": handler_of(DummyFunction(), "commandable-azurefunc"),
    "controller": handler_of(DummyFunction(), "azurefunc"),
}


@app.route(methods=["POST"])
def commandable_function(req: func.HttpRequest) -> func.HttpResponse:
    return HANDLERS["commandable_function"](req)


@app.route(methods=["POST"])
def commandable_controller(req: func.HttpRequest) -> func.HttpResponse:
    return HANDLERS["commandable_controller"](req)


@app.route(methods=["POST"])
def controller(req: func.HttpRequest) -> func.HttpResponse:
    return HANDLERS["controller"](req)
