"""The Dummy service on pip-services4-aws 0.0.1, in the three ways that the package supports. `FUNCTION` and
`CONTROLLER` in the environment select the way, and `CONFIG_PATH` is the path of the container's YAML file."""

import json
import os
from typing import Any

from dummies import SERVICE, DummyService, as_parameters, factory_of, to_json_text
from pip_services4_aws.containers import CommandableLambdaFunction, LambdaFunction
from pip_services4_aws.controllers import CommandableLambdaController, LambdaController
from pip_services4_commons.convert import TypeCode
from pip_services4_components.context import Context
from pip_services4_data.validate import ObjectSchema


class DummyCommandableFunction(CommandableLambdaFunction):
    """Registers the commands without a prefix."""

    def __init__(self) -> None:
        super().__init__("dummies", "Commandable function")
        self._dependency_resolver.put("service", SERVICE)
        self._factories.add(factory_of())


class DummyCommandableController(CommandableLambdaController):
    """Registers the commands as `dummies.*`."""

    def __init__(self) -> None:
        super().__init__("dummies")
        self._dependency_resolver.put("service", SERVICE)


class DummyController(LambdaController):
    """Registers explicit actions as `dummies.*`."""

    def __init__(self) -> None:
        super().__init__("dummies")
        self._dependency_resolver.put("service", SERVICE)

    def register(self) -> None:
        service: DummyService = self._dependency_resolver.get_one_required("service")
        by_id = ObjectSchema(True).with_required_property("dummy_id", TypeCode.String)
        schemas = dict.fromkeys(("get_dummy", "get_required_dummy", "delete_dummy"), by_id)
        for command in service.get_command_set().get_commands():
            self._register_action(command.get_name(), schemas.get(command.get_name()), self._action(command))

    def _action(self, command: Any) -> Any:
        return lambda params: command.execute(Context.from_trace_id(params["trace_id"]), as_parameters(params))


class DummyFunction(LambdaFunction):
    """Runs controllers."""

    def __init__(self) -> None:
        super().__init__("dummies", "Function with controllers")
        self._factories.add(factory_of(("commandable-lambda", DummyCommandableController), ("lambda", DummyController)))


_function = {"commandable": DummyCommandableFunction, "controllers": DummyFunction}[os.environ["FUNCTION"]]()
_handle = _function.get_handler()  # runs the container at the first call


def handler(event: dict[str, Any], context: Any) -> Any:
    """The handler of the package takes no Lambda context, and returns objects."""
    return json.loads(to_json_text(_handle(event)))
