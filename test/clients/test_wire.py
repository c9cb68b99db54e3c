"""How the clients use the wire. test/_wire has all cases of the wire itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pip_services4_commons.errors import ApplicationException, ConfigException
from pip_services4_components.config import ConfigParams
from support import fault_server as fault
from support.certificates import authority
from support.clients import ARN, every_base, failure, open_client
from support.fault_server import FaultServer, Step
from support.proxy import Proxy
from support.responses import FRAMED, Sample
from support.sockets import keepalive_settings, socket_to

from pip_services4_serverless.clients import FunctionClient, LambdaClient

provider = every_base

SAMPLES = [sample for sample in FRAMED if sample.name in ("length", "chunked", "gzip", "deflate", "no content")]
TLS = pytest.mark.parametrize("tls", [None, "good"], ids=["plain", "tls"])


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file with the trusted authority, which the environment names."""
    path = tmp_path / "bundle.pem"
    authority().cert_pem.write_to_path(path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return str(path)


def outcome(client: FunctionClient) -> Any:
    """The result of a call, or the code of its error."""
    try:
        return client._call("act", "test")
    except ApplicationException as err:
        return err.code


# --- Truncated responses ---


@TLS
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_truncated_response_is_lost(provider: str, sample: Sample, tls: str | None, bundle: str) -> None:
    """It may be truncated in its head or in its body. test/_wire truncates it at every byte."""
    with FaultServer(tls, keep=0) as server, open_client(provider, server.url, retries=0) as client:
        for end in (*range(0, sample.head, 11 if tls else 5), *range(sample.head, len(sample.data), 4)):
            if end < len(sample.data):
                server.default = fault.raw(sample.data[:end], then="close")
                assert outcome(client) == "NO_RESPONSE", end


def test_a_truncated_function_error_is_lost() -> None:
    """It may be truncated before the header that says that the function failed."""
    head, body = fault.response_bytes(
        body={"errorMessage": "No"}, headers={"X-Amz-Function-Error": "Unhandled", "X-Last": "1"}
    )
    with FaultServer(keep=0) as server, open_client("lambda", server.url, retries=0) as client:
        for end in range(len(head) + len(body)):
            server.default = fault.raw((head + body)[:end], then="close")
            assert outcome(client) == "NO_RESPONSE", end
        server.default = fault.raw(head + body)
        assert outcome(client) == "FUNCTION_ERROR"


def test_an_error_with_a_complete_head_keeps_its_status(provider: str) -> None:
    """If the head is truncated, the response is lost."""
    head, body = fault.response_bytes(404, {"message": "No"}, headers={"x-amzn-errortype": "ResourceNotFoundException"})
    with FaultServer(keep=0) as server, open_client(provider, server.url, retries=0) as client:
        for end in range(len(head) + len(body)):
            server.default = fault.raw((head + body)[:end], then="close")
            assert outcome(client) == ("NOT_FOUND" if end >= len(head) else "NO_RESPONSE"), end


# --- Bytes after a response ---


@TLS
def test_bytes_after_a_response_are_not_the_next_response(provider: str, tls: str | None, bundle: str) -> None:
    """It does not matter what they are, nor where the response ends in the reader's buffer."""
    second = b"".join(fault.response_bytes(body=b'"of another"'))
    with FaultServer(tls, keep=0) as server, open_client(provider, server.url, retries=0) as client:
        for size in (100, 16 * 1024, 64 * 1024):
            for offset in (-len(second), -1, 0, 1):
                for rest in (second, b"\r\n"):
                    length = size + offset - len(fault.response_bytes(body=b"", length=size)[0]) - 2
                    first = b"".join(fault.response_bytes(body=b'"%b"' % (b"x" * max(length, 1))))
                    step, is_sent = fault.send_and_signal(first + rest)
                    server.script(step, fault.respond(body=b'"mine"'))
                    assert set(outcome(client)) == {"x"}
                    assert is_sent.wait(30)  # bytes after the next request would be its response
                    assert outcome(client) == "mine"


# --- Calls in an except block ---


def test_a_call_in_an_except_block_raises_its_own_error(provider: str) -> None:
    """It does not raise the exception that is being handled."""
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        server.default = fault.respond(length=10**10)
        try:
            raise KeyError("of the caller")
        except KeyError:
            assert failure(client).code == "RESPONSE_TOO_LARGE"


# --- Early rejections ---


@TLS
def test_an_early_rejection_is_read_and_not_retried(provider: str, tls: str | None, bundle: str) -> None:
    """The server sends 413 and closes, before it has read the request. The client makes one attempt each time."""

    def act(connection: fault.Connection) -> None:
        connection.send(b"".join(fault.response_bytes(413)))
        connection.close()

    params = {"text": "x" * 5_900_000}  # more than the buffers of a connection hold
    with FaultServer(tls) as server, open_client(provider, server.url, idempotent=True) as client:
        server.default = Step("rejects", act, at="head")
        for number in range(1, 9):
            assert failure(client, params=params).code == "PAYLOAD_TOO_LARGE"
            assert (server.connections, server.executions) == (number, 0)


# --- Deadlines ---


def reads_slowly(connection: fault.Connection) -> None:
    connection._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    while not connection.stopping.wait(0.05):
        connection._socket.recv(16384)


@pytest.mark.timing
@pytest.mark.parametrize("bound", ["timeout", "total_timeout"])
@pytest.mark.parametrize("where", ["handshake", "tunnel", "request", "response"])
def test_each_timeout_ends_a_slow_attempt(
    provider: str, where: str, bound: str, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is slow in one phase. Connecting ends at these timeouts too, and raises `CANNOT_CONNECT`."""
    params = {"text": "x" * 5_900_000} if where == "request" else {}
    with ExitStack() as resources:
        server = resources.enter_context(FaultServer({"handshake": "drip", "tunnel": "good"}.get(where)))
        if where == "tunnel":
            monkeypatch.setenv("https_proxy", resources.enter_context(Proxy(interval=0.05)).url)
        server.default = Step("slow", reads_slowly, at="connection") if where == "request" else fault.drip("body")
        options: dict[str, Any] = {"timeout": 10_000, "total_timeout": 10_000, "retries": 0} | {bound: 400}
        client = resources.enter_context(open_client(provider, server.url, **options))
        started = time.monotonic()
        code = failure(client, params=params).code
        assert 0.39 <= time.monotonic() - started < 2  # not 10, the other timeout
        assert code == ("CANNOT_CONNECT" if where in ("handshake", "tunnel") else "CALL_TIMEOUT")


# --- CA bundles ---


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"])
def test_certificates_are_verified_with_the_bundle_of_the_environment(
    provider: str, variable: str, kind: str, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a file or a folder. AWS's own variable is only for Lambda."""
    path = bundle
    if kind == "folder":
        command = ["openssl", "x509", "-hash", "-noout", "-in", bundle]
        digest = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / f"{digest}.0").write_bytes(Path(bundle).read_bytes())
        path = str(folder)
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    monkeypatch.setenv(variable, path)
    is_trusted = provider == "lambda" or variable == "REQUESTS_CA_BUNDLE"
    with FaultServer("good") as server, open_client(provider, server.url, retries=0) as client:
        assert (outcome(client) == "CANNOT_CONNECT") != is_trusted
        assert server.executions == int(is_trusted)
    with FaultServer("unknown_ca") as server, open_client(provider, server.url, retries=0) as client:
        assert (outcome(client), server.executions) == ("CANNOT_CONNECT", 0)


def test_a_bundle_can_be_replaced_or_removed_while_the_client_is_open(provider: str, bundle: str) -> None:
    """The next connection uses a new bundle. If the bundle is removed, the client uses what it has read."""
    trusted = Path(bundle).read_bytes()
    options: dict[str, Any] = {"retries": 0, "idle_timeout": 1}  # each call makes a connection
    with FaultServer("good") as server, open_client(provider, server.url, **options) as client:
        assert client._call("act", "test")
        trustme.CA().cert_pem.write_to_path(bundle)
        time.sleep(0.01)
        assert outcome(client) == "CANNOT_CONNECT"
        Path(bundle).write_bytes(trusted)
        assert client._call("act", "test")
        os.unlink(bundle)
        time.sleep(0.01)
        assert client._call("act", "test")
        assert (server.connections, server.executions) == (4, 3)


def test_a_bundle_removed_before_the_first_call_prevents_connecting(
    provider: str, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent, so the error is one of connecting."""
    other = tmp_path / "removed.pem"
    other.write_bytes(Path(bundle).read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with FaultServer("good") as server, open_client(provider, server.url, retries=0) as client:
        other.unlink()
        assert (outcome(client), server.executions) == ("CANNOT_CONNECT", 0)


def test_open_raises_for_a_missing_bundle(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error has the path of the bundle."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere/bundle.pem")
    with pytest.raises(ConfigException) as caught, open_client(provider, "https://127.0.0.1:9"):
        pass
    assert caught.value.code == "WRONG_URI"
    assert "/nowhere/bundle.pem" in caught.value.message


# --- Proxies ---


@contextmanager
def proxied(monkeypatch: pytest.MonkeyPatch, target: str | None, **of: Any) -> Iterator[tuple[FaultServer, Proxy]]:
    """A server, and a proxy that the environment names for it."""
    with ExitStack() as resources:
        server, proxy = resources.enter_context(FaultServer(target)), resources.enter_context(Proxy(**of))
        monkeypatch.setenv("HTTPS_PROXY" if target else "http_proxy", proxy.url.replace("://", "://user:pass@"))
        yield server, proxy


@pytest.mark.parametrize("target", [None, "good"], ids=["http target", "https target"])
@pytest.mark.parametrize("kind", [None, "good"], ids=["http proxy", "https proxy"])
def test_calls_use_the_proxy_of_the_environment(
    provider: str, target: str | None, kind: str | None, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They send its credentials, and share one connection. Requests and responses may be large."""
    params = {"text": "x" * 3_000_000}
    with (
        proxied(monkeypatch, target, tls=kind, credentials="Basic dXNlcjpwYXNz") as (server, proxy),
        open_client(provider, server.url, retries=0) as client,
    ):
        for _ in range(2):
            assert client._call("act", "test", params)["text"] == params["text"]
        assert (server.connections, len(proxy.request_lines)) == (1, 1)


@pytest.mark.parametrize("target", [None, "good"], ids=["http target", "https target"])
def test_an_https_proxy_is_verified_with_the_targets_authorities(
    provider: str, target: str | None, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy with an unknown certificate receives nothing."""
    with (
        proxied(monkeypatch, target, tls="unknown_ca") as (server, proxy),
        open_client(provider, server.url, retries=0) as client,
    ):
        assert outcome(client) == "CANNOT_CONNECT"
        assert (proxy.received, server.connections) == (b"", 0)


def test_a_host_in_no_proxy_is_called_directly(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy receives no request."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with proxied(monkeypatch, None) as (server, proxy), open_client(provider, server.url) as client:
        assert client._call("act", "test")
        assert proxy.request_lines == []


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
@pytest.mark.parametrize("target", ["http", "https"])
def test_open_raises_for_a_socks_proxy(
    provider: str, scheme: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says SOCKS, and does not show the password."""
    monkeypatch.setenv(f"{target}_proxy", f"{scheme}://user:hunter2@127.0.0.1:1080")
    with (
        pytest.raises(ConfigException, match="SOCKS") as caught,
        open_client(provider, f"{target}://elsewhere.example"),
    ):
        pass
    assert "hunter2" not in str(caught.value.to_json())


# --- TCP keep-alive ---


@pytest.mark.parametrize(("option", "seconds"), [(None, 45), (2500, 3), (0, None)])
@TLS
def test_the_option_sets_tcp_keepalive(
    provider: str, option: int | None, seconds: int | None, tls: str | None, bundle: str
) -> None:
    """It is in milliseconds. Keep-alive is on by default, and 0 turns it off."""
    options: dict[str, Any] = {} if option is None else {"tcp_keepalive": option}
    with FaultServer(tls) as server, open_client(provider, server.url, **options) as client:
        client._call("act", "test")
        with socket_to(server.port) as sock:
            probes, first, between = keepalive_settings(sock)
        assert probes == (seconds is not None)
        assert seconds is None or (first, between) == (seconds, seconds)


@pytest.mark.parametrize(
    ("setting", "option", "seconds"),
    [
        ("true", None, 45),
        ("true", 0, 45),
        ("true", 3000, 3),
        ("false", None, None),
        ("false", 3000, None),
        ("", 3000, 3),
    ],
)
def test_the_aws_setting_can_turn_keepalive_on_or_off(
    setting: str, option: int | None, seconds: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tcp_keepalive` is in AWS's config file. The option of this package sets the interval."""
    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-1\n" + (f"tcp_keepalive = {setting}\n" if setting else ""))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    with FaultServer() as server:
        client = LambdaClient()
        options = ConfigParams.from_tuples("connection.arn", ARN, "connection.uri", server.url)
        if option is not None:
            options.put("options.tcp_keepalive", option)
        client.configure(options)
        with client:
            client._call("act", "test")
            with socket_to(server.port) as sock:
                probes, first, _ = keepalive_settings(sock)
        assert (probes, first if probes else None) == (seconds is not None, seconds)


# --- Patched standard library ---


def test_calls_work_if_select_has_no_poll(provider: str) -> None:
    """eventlet removes it, possibly before everything else is imported."""
    program = (
        "import select; del select.poll\n"
        "from support.fault_server import FaultServer\n"
        "from support.clients import open_client\n"
        f"with FaultServer() as server, open_client({provider!r}, server.url) as client:\n"
        "    assert [client._call('act', 'test', {'n': n})['n'] for n in range(3)] == [0, 1, 2]\n"
        "    assert server.connections == 1\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", program],
        capture_output=True,
        text=True,
        env=environment,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
