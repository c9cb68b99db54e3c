"""What both providers' clients must show of the wire below them; test/_wire has every case of it."""

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
    """The trusted authority, in a file that the environment names."""
    path = tmp_path / "bundle.pem"
    authority().cert_pem.write_to_path(path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    return str(path)


def outcome(client: FunctionClient) -> Any:
    """The value of a call, or the code of its error."""
    try:
        return client._call("act", "test")
    except ApplicationException as err:
        return err.code


# --- Cut responses ---


@TLS
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_no_prefix_of_a_response_is_a_result(provider: str, sample: Sample, tls: str | None, bundle: str) -> None:
    """Cut anywhere in its head, or in its body, the response is lost; test/_wire cuts at every byte."""
    with FaultServer(tls, keep=0) as server, open_client(provider, server.url, retries=0) as client:
        for end in (*range(0, sample.head, 11 if tls else 5), *range(sample.head, len(sample.data), 4)):
            if end < len(sample.data):
                server.default = fault.raw(sample.data[:end], then="close")
                assert outcome(client) == "NO_RESPONSE", end


def test_of_a_function_error_no_prefix_is_a_result() -> None:
    """Lambda says in a header that the function failed: cut before it, the response is lost."""
    head, body = fault.response_bytes(
        body={"errorMessage": "No"}, headers={"X-Amz-Function-Error": "Unhandled", "X-Last": "1"}
    )
    with FaultServer(keep=0) as server, open_client("lambda", server.url, retries=0) as client:
        for end in range(len(head) + len(body)):
            server.default = fault.raw((head + body)[:end], then="close")
            assert outcome(client) == "NO_RESPONSE", end
        server.default = fault.raw(head + body)
        assert outcome(client) == "FUNCTION_ERROR"


def test_of_an_error_the_status_counts_from_its_whole_head_on(provider: str) -> None:
    """Not before: then nobody knows."""
    head, body = fault.response_bytes(404, {"message": "No"}, headers={"x-amzn-errortype": "ResourceNotFoundException"})
    with FaultServer(keep=0) as server, open_client(provider, server.url, retries=0) as client:
        for end in range(len(head) + len(body)):
            server.default = fault.raw((head + body)[:end], then="close")
            assert outcome(client) == ("NOT_FOUND" if end >= len(head) else "NO_RESPONSE"), end


# --- Bytes behind a response ---


@TLS
def test_bytes_behind_a_response_answer_no_other_call(provider: str, tls: str | None, bundle: str) -> None:
    """Wherever the response ends in the reader's buffer; whatever is behind it."""
    second = b"".join(fault.response_bytes(body=b'"of another"'))
    with FaultServer(tls, keep=0) as server, open_client(provider, server.url, retries=0) as client:
        for size in (100, 16 * 1024, 64 * 1024):
            for offset in (-len(second), -1, 0, 1):
                for behind in (second, b"\r\n"):
                    length = size + offset - len(fault.response_bytes(body=b"", length=size)[0]) - 2
                    first = b"".join(fault.response_bytes(body=b'"%b"' % (b"x" * max(length, 1))))
                    step, is_sent = fault.send_and_signal(first + behind)
                    server.script(step, fault.respond(body=b'"mine"'))
                    assert set(outcome(client)) == {"x"}
                    assert is_sent.wait(30)  # what comes later than the next request cannot be told from its response
                    assert outcome(client) == "mine"


# --- Where the call is made ---


def test_a_call_in_an_except_block_ends_with_its_own_error(provider: str) -> None:
    """Not with the exception that is handled there."""
    with FaultServer() as server, open_client(provider, server.url, retries=0) as client:
        server.default = fault.respond(length=10**10)
        try:
            raise KeyError("of the caller")
        except KeyError:
            assert failure(client).code == "RESPONSE_TOO_LARGE"


# --- Early refusals ---


@TLS
def test_an_early_refusal_is_seen_and_the_request_not_sent_again(provider: str, tls: str | None, bundle: str) -> None:
    """413 and the end of the connection, eight of eight; an idempotent client makes one attempt each."""

    def act(connection: fault.Connection) -> None:
        connection.send(b"".join(fault.response_bytes(413)))
        connection.close()

    params = {"text": "x" * 5_900_000}  # more than the buffers of a connection hold
    with FaultServer(tls) as server, open_client(provider, server.url, idempotent=True) as client:
        server.default = Step("refuses", act, at="head")
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
def test_whatever_drips_ends_at_the_attempts_bound_as_at_the_calls(
    provider: str, where: str, bound: str, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Connecting counts for both: with a longer `connect_timeout` it ends at them, and is an error of connecting."""
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
        assert 0.39 <= time.monotonic() - started < 2  # and not 10
        assert code == ("CANNOT_CONNECT" if where in ("handshake", "tunnel") else "CALL_TIMEOUT")


# --- CA bundles ---


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"])
def test_certificates_are_checked_against_the_bundle_that_the_environment_names(
    provider: str, variable: str, kind: str, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or a folder; AWS's own variable is for Lambda."""
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


def test_a_bundle_that_is_replaced_or_removed_while_the_client_is_open(provider: str, bundle: str) -> None:
    """Replaced, it counts from the next connection on; removed, calls go on with what was read."""
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


def test_a_bundle_that_is_removed_before_the_first_call_sends_nothing(
    provider: str, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error of connecting, which any call may repeat."""
    other = tmp_path / "never read.pem"
    other.write_bytes(Path(bundle).read_bytes())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(other))
    with FaultServer("good") as server, open_client(provider, server.url, retries=0) as client:
        other.unlink()
        assert (outcome(client), server.executions) == ("CANNOT_CONNECT", 0)


def test_a_bundle_that_is_not_there_is_refused_at_open(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first call."""
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
def test_calls_go_through_the_environments_proxy(
    provider: str, target: str | None, kind: str | None, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its authorization, over one connection, with large bodies both ways."""
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
    """One that they do not know is told nothing."""
    with (
        proxied(monkeypatch, target, tls="unknown_ca") as (server, proxy),
        open_client(provider, server.url, retries=0) as client,
    ):
        assert outcome(client) == "CANNOT_CONNECT"
        assert (proxy.received, server.connections) == (b"", 0)


def test_no_proxy_leads_past_it(provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with proxied(monkeypatch, None) as (server, proxy), open_client(provider, server.url) as client:
        assert client._call("act", "test")
        assert proxy.request_lines == []


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
@pytest.mark.parametrize("target", ["http", "https"])
def test_a_socks_proxy_is_refused_at_open(
    provider: str, scheme: str, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a message that says so and shows no password."""
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
def test_keepalive_is_set_as_the_option_says(
    provider: str, option: int | None, seconds: int | None, tls: str | None, bundle: str
) -> None:
    """On by default; in milliseconds; 0 sends none."""
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
def test_awss_own_keepalive_setting_is_honoured(
    setting: str, option: int | None, seconds: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tcp_keepalive` in AWS's config file decides whether, our option how often."""
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
        with opened(client):
            client._call("act", "test")
            with socket_to(server.port) as sock:
                probes, first, _ = keepalive_settings(sock)
        assert (probes, first if probes else None) == (seconds is not None, seconds)


@contextmanager
def opened(client: FunctionClient) -> Iterator[None]:
    client.open("test")
    try:
        yield
    finally:
        client.close("test")


# --- What other tools leave of the standard library ---


def test_calls_work_where_select_has_no_poll(provider: str) -> None:
    """As after eventlet's patch, also when it comes before everything else."""
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
