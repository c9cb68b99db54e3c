"""Starts the local hosts, calls the service `dummies` with each client, and checks every response."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pip_services4_commons.errors import ApplicationException, NotFoundException
from pip_services4_components.config import ConfigParams
from pip_services4_components.refer import Descriptor, References
from pip_services4_observability.count import CachedCounters, Counter

from pip_services4_serverless.clients import (
    AzureFunctionClient,
    CloudFunctionClient,
    CommandableAzureFunctionClient,
    CommandableCloudFunctionClient,
    CommandableLambdaClient,
    FunctionClient,
    LambdaClient,
)
from pip_services4_serverless.local import AzureFunctionHost, GoogleFunctionHost, LambdaHost

HERE = Path(__file__).parent
Row = tuple[str, str, str, float]


class _DummiesClient(FunctionClient):
    """A client whose methods name their action and instrument the call."""

    def dummies(self, action: str, **params: Any) -> Any:
        timing = self._instrument("demo", f"dummies.{action}")
        try:
            result = self._call(f"dummies.{action}", "demo", params)
        except ApplicationException as err:
            timing.end_timing(err)
            raise
        timing.end_timing()
        return result


class DummiesAzureClient(_DummiesClient, AzureFunctionClient):
    """Calls the Azure Function."""


class DummiesCloudFunctionClient(_DummiesClient, CloudFunctionClient):
    """Calls the Google Cloud Function."""


class DummiesLambdaClient(_DummiesClient, LambdaClient):
    """Calls the Lambda function."""


class DummiesCommandableAzureClient(CommandableAzureFunctionClient):
    """Calls the Azure Function by command."""

    def dummies(self, action: str, **params: Any) -> Any:
        return self.call_command(action, "demo", params)


class DummiesCommandableCloudFunctionClient(CommandableCloudFunctionClient):
    """Calls the Google Cloud Function by command."""

    def dummies(self, action: str, **params: Any) -> Any:
        return self.call_command(action, "demo", params)


class DummiesCommandableLambdaClient(CommandableLambdaClient):
    """Calls the Lambda function by command."""

    def dummies(self, action: str, **params: Any) -> Any:
        return self.call_command(action, "demo", params)


class DemoCounters(CachedCounters):
    """Keeps the counters in memory."""

    def _save(self, counters: list[Counter]) -> None:
        pass


class DemoError(Exception):
    """A response was not the expected one."""


def check(condition: bool, message: str) -> None:
    """Raises `DemoError` unless the condition is true. Unlike `assert`, it also works with `python -O`."""
    if not condition:
        raise DemoError(message)


def check_response(client: object, action: str, condition: bool) -> None:
    """Raises `DemoError` unless the condition is true."""
    check(condition, f"{type(client).__name__}: the response to {action!r} is not as expected")


def exercise(client: Any, record: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Creates, lists, gets, updates and deletes a dummy, and gets an error."""
    dummy = {"id": "1", "key": "Key 1", "content": "Größe"}
    created = record("create", lambda: client.dummies("create", dummy=dummy))
    check_response(client, "create", created == dummy)
    listed = record("list", lambda: client.dummies("list"))
    check_response(client, "list", listed["data"] == [dummy])
    found = record("get", lambda: client.dummies("get", dummy_id="1"))
    check_response(client, "get", found == dummy)
    dummy["content"] = "Updated"
    updated = record("update", lambda: client.dummies("update", dummy=dummy))
    check_response(client, "update", updated == dummy)
    deleted = record("delete", lambda: client.dummies("delete", dummy_id="1"))
    check_response(client, "delete", deleted == dummy)
    error = record("get, an error", lambda: client.dummies("get", dummy_id="1"))
    check_response(client, "get, an error", type(error) is NotFoundException and error.status == 404)


def exercise_one_way(client: DummiesLambdaClient, record: Callable[[str, Callable[[], Any]], Any]) -> None:
    """Makes a one-way call, and waits until its action has run."""
    dummy = {"id": "2", "key": "Key 2", "content": "later"}
    result = record("create, one way", lambda: client.call_one_way("dummies.create", "demo", {"dummy": dummy}))
    check_response(client, "create, one way", result is None)
    end = time.monotonic() + 10
    while client.dummies("list")["total"] == 0:
        check(time.monotonic() < end, "the function did not run the one-way call within 10 s")
        time.sleep(0.05)
    client.dummies("delete", dummy_id="2")


@contextmanager
def opened(client: FunctionClient, config: ConfigParams, references: References) -> Iterator[Any]:
    """Configures, opens and closes a client, as a container does."""
    client.configure(config)
    client.set_references(references)
    client.open("demo")
    try:
        yield client
    finally:
        client.close("demo")


def show(rows: list[Row], counters: list[Counter]) -> None:
    """Prints the two tables."""
    print(f"\n{'client':<40}{'action':<18}{'ms':>8}  result")
    for client, action, result, ms in rows:
        print(f"{client:<40}{action:<18}{ms:>8.1f}  {result if len(result) <= 70 else result[:67] + '...'}")
    print(f"\n{'counter':<32}{'count':>8}{'average ms':>14}")
    for counter in sorted(counters, key=lambda counter: counter.name):
        average = "" if counter.average is None else f"{counter.average:.1f}"
        print(f"{counter.name:<32}{counter.count:>8}{average:>14}")


def main() -> int:
    """Returns 0 if every response was as expected. Otherwise raises `DemoError`."""
    # Without this, the traceback of the error that the demonstration causes would be printed.
    logging.getLogger("pip_services4_serverless.local").addHandler(logging.NullHandler())
    rows: list[Row] = []
    counters = DemoCounters()
    references = References.from_tuples(Descriptor("demo", "counters", "memory", "default", "1.0"), counters)

    def recorder(client: object) -> Callable[[str, Callable[[], Any]], Any]:
        def record(action: str, call: Callable[[], Any]) -> Any:
            started = time.perf_counter()
            try:
                result = call()
                shown = repr(result)
            except ApplicationException as err:
                result = err
                shown = f"{type(err).__name__} {err.code} {err.status}: {err} (trace id {err.trace_id})"
            rows.append((type(client).__name__, action, shown, (time.perf_counter() - started) * 1000))
            return result

        return record

    with tempfile.TemporaryDirectory(prefix="dummies-") as folder:
        store = os.environ["DUMMIES_FILE"] = str(Path(folder, "azure.json"))
        print("Starting the hosts of Azure Functions, Google Cloud Functions and Lambda on this machine...")
        with AzureFunctionHost(HERE / "azure_app") as azure, GoogleFunctionHost() as google, LambdaHost() as aws:
            google.deploy("dummies", HERE / "google_app")
            environment = {"DUMMIES_FILE": store.replace("azure", "lambda")}
            aws.deploy("dummies", HERE / "lambda_app", "app.handler", environment=environment)
            urls = [host.config("dummies").get_as_string("connection.uri") for host in (azure, google)]
            print("", *urls, aws.arn("dummies"), sep="\n  ")
            for client, config in (
                (DummiesAzureClient(), azure.config("dummies")),
                (DummiesCommandableAzureClient("dummies"), azure.config("dummies")),
                (DummiesCloudFunctionClient(), google.config("dummies")),
                (DummiesCommandableCloudFunctionClient("dummies"), google.config("dummies")),
                (DummiesLambdaClient(), aws.config("dummies")),
                (DummiesCommandableLambdaClient("dummies"), aws.config("dummies")),
            ):
                print(f"Calling with {type(client).__name__} ...")
                with opened(client, config, references):
                    exercise(client, recorder(client))
                    if isinstance(client, DummiesLambdaClient):
                        exercise_one_way(client, recorder(client))
    show(rows, counters.get_all())
    counted = {counter.name: counter.count for counter in counters.get_all()}
    check(counted.get("dummies.create.exec_count") == 6, "the counters do not have one 'create' of each client")
    check(counted.get("dummies.get.exec_errors") == 6, "the counters do not have one error of each client")
    print("\nAll responses were as expected.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
