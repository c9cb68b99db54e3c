"""The clients that are measured. Each calls the function as users would, sends the same JSON and decodes the response.

The module imports only the standard library. Each client imports its own libraries when it is opened, because each has
its own process, some of them in environments that do not have the libraries of the others.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, process_time
from typing import Any, NamedTuple
from urllib.parse import quote, urlsplit

REGION = "eu-west-1"
ARN = f"arn:aws:lambda:{REGION}:123456789012:function:dummies"
ACCESS_ID, ACCESS_KEY = "AKIDBENCHMARK", "SecretOfTheBenchmark"
AUTH_CODE = "KeyOfTheBenchmark"
AZURE_PATH = "/api/dummies"
LAMBDA_PATH = f"/2015-03-31/functions/{quote(ARN, safe='')}/invocations"
TIMEOUT = 10  # seconds

Params = Mapping[str, Any]


def parameters(size: int) -> dict[str, Any]:
    """Parameters of about `size` bytes of JSON: records, because one long string is serialised too fast."""
    records = [
        {"id": f"{i:07}", "name": f"Dummy {i:07}", "price": i + 0.95, "tags": ["a", "b"], "active": True}
        for i in range(max(1, size // 97))
    ]
    return records[0] if len(records) == 1 else {"items": records}


class Caller:
    """Makes the calls of one client, and measures their time."""

    def __init__(self, call: Callable[[Params], Any]) -> None:
        self.call = call
        self._pools: dict[int, ThreadPoolExecutor] = {}

    def timed(self, params: Params, calls: int, threads: int) -> tuple[float, float]:
        """The seconds that `calls` calls in each thread take, and the seconds of CPU time of this process."""
        call = self.call
        if threads == 1:
            started, cpu = perf_counter(), process_time()
            for _ in range(calls):
                call(params)
            return perf_counter() - started, process_time() - cpu
        begin: list[float] = []
        # The last thread at the barrier starts the clock. Another one might run only after some calls have been made.
        barrier = threading.Barrier(threads, lambda: begin.extend((perf_counter(), process_time())))

        def work() -> float:
            call(params)  # connects
            barrier.wait(60)
            for _ in range(calls):
                call(params)
            return perf_counter()

        # The threads are kept, because some clients keep a connection for each thread.
        pool = self._pools.setdefault(threads, ThreadPoolExecutor(threads))
        ended = max(future.result() for future in [pool.submit(work) for _ in range(threads)])
        return ended - begin[0], process_time() - begin[1]

    def burst(self, params: Params, calls: int) -> tuple[float, float, float]:
        """The seconds of this many concurrent calls, their CPU time, and the growth of the process in bytes."""
        raise NotImplementedError("this client is not asynchronous")


# --- What a user might have written ---


def _body(params: Params) -> dict[str, Any]:
    return {**params, "cmd": "dummies.get", "trace_id": "trace-1"}


_HEADERS = {"x-functions-key": AUTH_CODE, "Content-Type": "application/json"}


def _requests(url: str) -> Caller:
    import requests

    session = requests.Session()
    session.headers["x-functions-key"] = AUTH_CODE
    return Caller(lambda params: session.post(url + AZURE_PATH, json=_body(params), timeout=TIMEOUT).json())


def _requests_dumps(url: str) -> Caller:
    import requests

    session = requests.Session()
    session.headers.update(_HEADERS)
    return Caller(lambda params: session.post(url + AZURE_PATH, json.dumps(_body(params)), timeout=TIMEOUT).json())


def _httpx(url: str) -> Caller:
    import httpx

    client = httpx.Client(headers={"x-functions-key": AUTH_CODE}, timeout=TIMEOUT)
    return Caller(lambda params: client.post(url + AZURE_PATH, json=_body(params)).json())


def _urllib3(url: str) -> Caller:
    import urllib3

    pool = urllib3.connection_from_url(url, maxsize=16, timeout=TIMEOUT, headers=_HEADERS)
    return Caller(lambda params: json.loads(pool.urlopen("POST", AZURE_PATH, json.dumps(_body(params)).encode()).data))


def _http_client(url: str) -> Caller:
    from http.client import HTTPConnection

    local = threading.local()

    def call(params: Params) -> Any:
        try:
            connection = local.connection
        except AttributeError:
            connection = local.connection = HTTPConnection(urlsplit(url).netloc, timeout=TIMEOUT)
        connection.request("POST", AZURE_PATH, json.dumps(_body(params)).encode(), _HEADERS)
        return json.loads(connection.getresponse().read())

    return Caller(call)


def _raw_socket(url: str) -> Caller:
    """The lower bound: JSON and two system calls."""
    address = urlsplit(url)
    head = f"POST {AZURE_PATH} HTTP/1.1\r\nHost: {address.netloc}\r\nx-functions-key: {AUTH_CODE}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: "
    local = threading.local()

    def call(params: Params) -> Any:
        try:
            sock = local.sock
        except AttributeError:
            sock = local.sock = socket.create_connection((address.hostname, address.port), TIMEOUT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        body = json.dumps(_body(params))
        sock.sendall(f"{head}{len(body)}\r\n\r\n{body}".encode())
        response = b""
        while True:
            response += sock.recv(65536)
            fields, _, body = response.partition(b"\r\n\r\n")
            if int(fields[fields.rfind(b" ") :]) == len(body):  # the server's last header is the length
                return json.loads(body)

    return Caller(call)


_AWS_KEYS = {"region_name": REGION, "aws_access_key_id": ACCESS_ID, "aws_secret_access_key": ACCESS_KEY}


def _boto3(url: str) -> Caller:
    import boto3

    client = boto3.client("lambda", endpoint_url=url, **_AWS_KEYS)

    def call(params: Params) -> Any:
        return json.loads(client.invoke(FunctionName=ARN, Payload=json.dumps(_body(params)))["Payload"].read())

    return Caller(call)


def _signed_urllib3(url: str) -> Caller:
    import urllib3
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    signer = SigV4Auth(Credentials(ACCESS_ID, ACCESS_KEY), "lambda", REGION)
    pool = urllib3.connection_from_url(url, maxsize=16, timeout=TIMEOUT)

    def call(params: Params) -> Any:
        body = json.dumps(_body(params)).encode()
        request = AWSRequest("POST", url + LAMBDA_PATH, {"Content-Type": "application/json"}, body)
        signer.add_auth(request)
        return json.loads(pool.urlopen("POST", LAMBDA_PATH, body, dict(request.headers.items())).data)

    return Caller(call)


class Tasks(Caller):
    """Makes the calls of an asynchronous client in tasks of one loop instead of threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[Params], Coroutine[Any, Any, Any]]) -> None:
        super().__init__(lambda params: loop.run_until_complete(call(params)))
        self._loop, self._coroutine = loop, call

    def timed(self, params: Params, calls: int, threads: int) -> tuple[float, float]:
        async def work(calls: int) -> None:
            for _ in range(calls):
                await self._coroutine(params)

        async def measure() -> tuple[float, float]:
            await asyncio.gather(*(work(1) for _ in range(threads)))  # connects
            started, cpu = perf_counter(), process_time()
            await asyncio.gather(*(work(calls) for _ in range(threads)))
            return perf_counter() - started, process_time() - cpu

        return self._loop.run_until_complete(measure())

    def burst(self, params: Params, calls: int) -> tuple[float, float, float]:
        async def measure() -> tuple[float, float, float]:
            await self._coroutine(params)
            before, largest, started, cpu = _memory(), 0, perf_counter(), process_time()
            done = asyncio.gather(*(self._coroutine(params) for _ in range(calls)))
            while not done.done():
                await asyncio.sleep(0.05)
                largest = max(largest, _memory())
            done.result()
            return perf_counter() - started, process_time() - cpu, max(0, largest - before)

        return self._loop.run_until_complete(measure())


def _memory() -> int:
    """The memory of this process, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _aiobotocore(url: str) -> Caller:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session

    loop = asyncio.new_event_loop()
    config = AioConfig(max_pool_connections=1000)
    client = loop.run_until_complete(
        get_session().create_client("lambda", endpoint_url=url, config=config, **_AWS_KEYS).__aenter__()
    )

    async def call(params: Params) -> Any:
        response = await client.invoke(FunctionName=ARN, Payload=json.dumps(_body(params)))
        async with response["Payload"] as stream:
            return json.loads(await stream.read())

    return Tasks(loop, call)


def _aiohttp(url: str) -> Caller:
    import aiohttp

    async def opened() -> aiohttp.ClientSession:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        return aiohttp.ClientSession(headers=_HEADERS, timeout=timeout, connector=aiohttp.TCPConnector(limit=1000))

    loop = asyncio.new_event_loop()
    session = loop.run_until_complete(opened())

    async def call(params: Params) -> Any:
        async with session.post(url + AZURE_PATH, data=json.dumps(_body(params)).encode()) as response:
            return await response.json()

    return Tasks(loop, call)


def _httpx_async(url: str) -> Caller:
    import httpx

    limits = httpx.Limits(max_connections=1000, max_keepalive_connections=64)
    client = httpx.AsyncClient(headers={"x-functions-key": AUTH_CODE}, timeout=TIMEOUT, limits=limits)

    async def call(params: Params) -> Any:
        return (await client.post(url + AZURE_PATH, json=_body(params))).json()

    return Tasks(asyncio.new_event_loop(), call)


# --- Clients of pip-services: those of this library, and the published ones ---


def _component(client: Any, url: str, observed: bool) -> Caller:
    """Calls `_call`, or, if `observed`, `call_command` with a logger and counters that write nothing."""
    from pip_services4_components.config import ConfigParams
    from pip_services4_components.context import Context

    client.configure(
        ConfigParams.from_tuples(
            *("connection.uri", url, "connection.arn", ARN, "connection.region", REGION),
            *("credential.access_id", ACCESS_ID, "credential.access_key", ACCESS_KEY),
            *("credential.auth_code", AUTH_CODE),
        )
    )
    context = Context.from_trace_id("trace-1")
    if observed:
        _observe(client)
    client.open(context)
    if observed:
        return Caller(lambda params: client.call_command("get", context, params))
    return Caller(lambda params: client._call("dummies.get", context, params))


def _async_component(client: Any, url: str) -> Caller:
    call = _component(client, url, observed=False).call
    return Tasks(asyncio.new_event_loop(), call)


def _observe(client: Any) -> None:
    from pip_services4_components.refer import Descriptor, References
    from pip_services4_observability.count import CachedCounters
    from pip_services4_observability.log import Logger

    class Counters(CachedCounters):
        def _save(self, counters: Any) -> None:
            pass

    class Log(Logger):
        def _write(self, *args: Any) -> None:
            pass

    client.set_references(
        References.from_tuples(
            *(Descriptor("bench", "logger", "own", "default", "1.0"), Log()),
            *(Descriptor("bench", "counters", "own", "default", "1.0"), Counters()),
        )
    )


def _this_azure(url: str) -> Caller:
    from pip_services4_serverless.clients import CommandableAzureFunctionClient

    return _component(CommandableAzureFunctionClient("dummies"), url + AZURE_PATH, observed=False)


def _this_azure_observed(url: str) -> Caller:
    from pip_services4_serverless.clients import CommandableAzureFunctionClient

    return _component(CommandableAzureFunctionClient("dummies"), url + AZURE_PATH, observed=True)


def _this_lambda(url: str) -> Caller:
    from pip_services4_serverless.clients import CommandableLambdaClient

    return _component(CommandableLambdaClient("dummies"), url, observed=False)


def _this_azure_async(url: str) -> Caller:
    from pip_services4_serverless.clients import AsyncCommandableAzureFunctionClient

    return _async_component(AsyncCommandableAzureFunctionClient("dummies"), url + AZURE_PATH)


def _this_lambda_async(url: str) -> Caller:
    from pip_services4_serverless.clients import AsyncCommandableLambdaClient

    return _async_component(AsyncCommandableLambdaClient("dummies"), url)


def _published_azure(url: str) -> Caller:
    from pip_services4_azure.clients import CommandableAzureFunctionClient

    return _component(CommandableAzureFunctionClient("dummies"), url + AZURE_PATH, observed=False)


def _published_azure_observed(url: str) -> Caller:
    from pip_services4_azure.clients import CommandableAzureFunctionClient

    return _component(CommandableAzureFunctionClient("dummies"), url + AZURE_PATH, observed=True)


def _published_lambda(url: str) -> Caller:
    """This client has no option for its endpoint, so boto3's own variable sets it."""
    from pip_services4_aws.clients import CommandableLambdaClient

    os.environ["AWS_ENDPOINT_URL_LAMBDA"] = url
    return _component(CommandableLambdaClient("dummies"), url, observed=False)


class Contestant(NamedTuple):
    """One client. `cells` are the sizes (bytes) and threads that it is measured with. An empty tuple means all."""

    provider: str
    title: str
    environment: str
    open: Callable[[str], Caller]
    cells: tuple[tuple[int, int], ...] = ()
    is_async: bool = False  # it is measured only with tasks


CONTESTANTS: Mapping[str, Contestant] = {
    "azure-this": Contestant("Azure", "this client", "own", _this_azure),
    "azure-this-observed": Contestant(
        "Azure", "this client, call_command observed", "own", _this_azure_observed, ((100, 1),)
    ),
    "azure-published": Contestant("Azure", "pip-services4-azure 0.0.1", "azure", _published_azure),
    "azure-published-observed": Contestant(
        "Azure", "pip-services4-azure 0.0.1, call_command observed", "azure", _published_azure_observed, ((100, 1),)
    ),
    "requests": Contestant("Azure", "requests.Session.post", "own", _requests),
    "requests-dumps": Contestant(
        "Azure", "json.dumps + requests.Session.post", "own", _requests_dumps, ((1_000_000, 1),)
    ),
    "httpx": Contestant("Azure", "httpx.Client.post", "own", _httpx),
    "urllib3": Contestant("Azure", "urllib3's pool", "own", _urllib3),
    "http.client": Contestant("Azure", "http.client", "own", _http_client),
    "socket": Contestant("Azure", "raw socket", "own", _raw_socket),
    "azure-this-async": Contestant("Azure", "this asynchronous client", "own", _this_azure_async, is_async=True),
    "aiohttp": Contestant("Azure", "aiohttp (tasks)", "aiohttp", _aiohttp, is_async=True),
    "httpx-async": Contestant("Azure", "httpx.AsyncClient.post (tasks)", "own", _httpx_async, is_async=True),
    "lambda-this": Contestant("Lambda", "this client", "own", _this_lambda),
    "lambda-published": Contestant("Lambda", "pip-services4-aws 0.0.1", "aws", _published_lambda),
    "boto3": Contestant("Lambda", "boto3 invoke", "own", _boto3),
    "lambda-this-async": Contestant("Lambda", "this asynchronous client", "own", _this_lambda_async, is_async=True),
    "aiobotocore": Contestant("Lambda", "aiobotocore (tasks)", "aiobotocore", _aiobotocore, is_async=True),
    "signed-urllib3": Contestant("Lambda", "urllib3's pool, signed by botocore", "own", _signed_urllib3),
}
