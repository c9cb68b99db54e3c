"""How connections reach the server: certificates, proxies and addresses."""

from __future__ import annotations

import contextlib
import os
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import trustme
from support import fault_server as fault
from support.certificates import authority
from support.fault_server import FaultServer, Step
from support.proxy import Proxy

from pip_services4_serverless._wire.connection_pool import ConnectionPool
from pip_services4_serverless._wire.endpoint import Endpoint, PoolLimits, tls_context
from pip_services4_serverless._wire.errors import NotSentError, ResponseTimeoutError

LIMIT = 64 << 20  # bytes


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    """A file with the trusted authority, which a test may change."""
    path = tmp_path / "bundle.pem"
    authority().cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture
def folder(tmp_path: Path, bundle: str) -> str:
    """A folder with the same certificate, under the name that OpenSSL looks for."""
    path = tmp_path / "certificates"
    path.mkdir()
    digest = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", bundle],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )
    (path / f"{digest.stdout.strip()}.0").write_bytes(Path(bundle).read_bytes())
    return str(path)


@contextmanager
def pool_of(url: str, bundle: str, proxy: str | None = None, timeout: float = 10) -> Iterator[ConnectionPool]:
    endpoint = Endpoint.from_url(url, bundle, proxy)
    pool = ConnectionPool(endpoint, PoolLimits(4, timeout, timeout, 60, LIMIT))
    with contextlib.closing(pool):
        yield pool


def call(pool: ConnectionPool, body: bytes = b"{}") -> bytes:
    target = f"http://{pool.endpoint.authority}/api" if pool.endpoint.sends_whole_url else "/api"
    return pool.request("POST", target, {}, body).body


# --- CA bundles ---


@pytest.mark.parametrize("kind", ["bundle", "folder"])
def test_a_ca_bundle_may_be_a_file_or_a_folder(kind: str, request: pytest.FixtureRequest) -> None:
    """No other authorities are trusted."""
    path = request.getfixturevalue(kind)
    with FaultServer("good") as server, pool_of(server.url, path) as pool:
        assert call(pool) == b"{}"
    with FaultServer("unknown_ca") as server, pool_of(server.url, path) as pool:
        with pytest.raises(NotSentError, match="certificate"):
            call(pool)
        assert server.executions == 0


def test_a_replaced_bundle_is_used_from_the_next_connection_on(bundle: str) -> None:
    """The new file may have the time and the size of the old one."""
    status = os.stat(bundle)
    other = Path(bundle).with_name("other.pem")
    trustme.CA().cert_pem.write_to_path(other)
    with FaultServer("good") as server, pool_of(server.url, bundle) as pool:
        assert call(pool) == b"{}"
        good = Path(bundle).read_bytes()
        os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
        os.replace(other, bundle)
        pool._idle.clear()
        with pytest.raises(NotSentError, match="certificate"):
            call(pool)
        other.write_bytes(good)
        os.replace(other, bundle)
        assert call(pool) == b"{}"
        assert server.executions == 2


def test_a_bundle_that_was_read_may_be_removed(bundle: str) -> None:
    """Calls still succeed. A bundle that never existed makes calls fail."""
    with FaultServer("good") as server:
        with pool_of(server.url, bundle) as pool:
            call(pool)
            os.unlink(bundle)
            pool._idle.clear()
            assert call(pool) == b"{}"
        with pool_of(server.url, bundle + ".2") as pool, pytest.raises(NotSentError):
            call(pool)
        assert server.executions == 2


NOT_A_CERTIFICATE = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize("content", [b"", b"not a certificate", NOT_A_CERTIFICATE], ids=["empty", "text", "broken"])
def test_a_bundle_without_certificates_sends_nothing(content: bytes, bundle: str) -> None:
    """The call raises a `NotSentError`, and calls work again when the bundle is corrected."""
    good = Path(bundle).read_bytes()
    Path(bundle).write_bytes(content)
    with FaultServer("good") as server, pool_of(server.url, bundle) as pool:
        with pytest.raises(NotSentError):
            call(pool)
        assert server.executions == 0
        Path(bundle).write_bytes(good)
        assert call(pool) == b"{}"


def test_one_tls_context_is_shared_and_checks_host_names(bundle: str) -> None:
    """It is shared because reading a bundle takes longer than the rest of connecting."""
    context = tls_context(bundle)
    assert context is tls_context(bundle)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_threads_that_connect_at_the_same_time_read_the_bundle_once(bundle: str) -> None:
    """Reading a usual bundle takes 20 ms of CPU time, and so does this one."""
    Path(bundle).write_bytes(Path(bundle).read_bytes() * 150)
    together = threading.Barrier(8)

    def create(_: int) -> ssl.SSLContext:
        together.wait()
        return tls_context(bundle)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(create, range(8)))) == 1


# --- Proxies ---


@pytest.mark.parametrize("target", [None, "good"], ids=["http target", "https target"])
@pytest.mark.parametrize("proxy_tls", [None, "good"], ids=["http proxy", "https proxy"])
def test_proxies_transfer_large_bodies_both_ways(target: str | None, proxy_tls: str | None, bundle: str) -> None:
    """The proxy and the target may each use TLS. The connection is used again."""
    body = os.urandom(3_000_000)
    with ExitStack() as resources:
        server = resources.enter_context(FaultServer(target))
        proxy = resources.enter_context(Proxy("Basic dXNlcjpwYTpzcw==", proxy_tls))
        url = proxy.url.replace("://", "://user:pa%3Ass@")
        pool = resources.enter_context(pool_of(server.url, bundle, url))
        for content in (b"{}", body, b"[]"):
            assert call(pool, content) == content
        assert server.connections == 1
        address = f"127.0.0.1:{server.port}"
        assert proxy.request_lines == [f"CONNECT {address}" if target else f"POST http://{address}/api"]
        # Requests in the tunnel must not contain the proxy's password.
        assert all(request.headers["Proxy-Authorization"] is None for request in server.requests) == bool(target)


@pytest.mark.parametrize("target", [None, "good"], ids=["http target", "https target"])
@pytest.mark.parametrize("proxy_tls", ["unknown_ca", "wrong_host", "expired"])
def test_the_certificate_of_an_https_proxy_is_verified(target: str | None, proxy_tls: str, bundle: str) -> None:
    """Clients trust the same authorities, and send nothing to the proxy before."""
    with FaultServer(target) as server, Proxy(tls=proxy_tls) as proxy:
        with pool_of(server.url, bundle, proxy.url) as pool, pytest.raises(NotSentError, match="certificate"):
            call(pool)
        assert (proxy.received, server.connections) == (b"", 0)


@pytest.mark.parametrize("target", ["unknown_ca", "wrong_host", "expired"])
@pytest.mark.parametrize("proxy_tls", [None, "good"], ids=["http proxy", "https proxy"])
def test_the_certificate_behind_a_proxy_is_verified(target: str, proxy_tls: str | None, bundle: str) -> None:
    """A tunnel does not make the target trusted."""
    with FaultServer(target) as server, Proxy(tls=proxy_tls) as proxy:
        with pool_of(server.url, bundle, proxy.url) as pool, pytest.raises(NotSentError, match="certificate"):
            call(pool)
        assert server.executions == 0


@pytest.mark.parametrize(
    "connect_response",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 3\r\n\r\nNo!",
        b"HTTP/1.1 502 Bad Gateway\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nmore than that",
        b"HTTP/1.1 302 Found\r\nLocation: http://elsewhere/\r\n\r\n",
        b"220 smtp.example\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000,
    ],
)
def test_nothing_is_sent_if_the_proxy_opens_no_tunnel(connect_response: bytes, bundle: str) -> None:
    """Any other response to `CONNECT` makes the call fail."""
    with FaultServer("good") as server, Proxy(connect_response=connect_response) as proxy:
        with pool_of(server.url, bundle, proxy.url) as pool, pytest.raises(NotSentError):
            call(pool)
        assert server.executions == 0


@pytest.mark.parametrize(
    "connect_response",
    [
        b"HTTP/1.0 200 Connection established\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 OK\r\nConnection: close\r\n\r\n",
    ],
)
def test_headers_about_a_body_do_not_prevent_a_tunnel(connect_response: bytes, bundle: str) -> None:
    """The response to `CONNECT` has no body."""
    with FaultServer("good") as server, Proxy(connect_response=connect_response) as proxy:
        with pool_of(server.url, bundle, proxy.url) as pool:
            assert [call(pool), call(pool)] == [b"{}", b"{}"]
        assert len(proxy.request_lines) == 1


@pytest.mark.timing
@pytest.mark.parametrize("proxy_tls", [None, "good"], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("then", ["linger", "hold"])
def test_an_early_error_response_is_read_through_a_tunnel(proxy_tls: str | None, then: str, bundle: str) -> None:
    """The server responds and does not read. The proxy may use TLS, too."""

    def act(connection: fault.Connection) -> None:
        connection.stopping.wait(0.3)  # until all buffers between client and server are full
        connection.send(b"".join(fault.response_bytes(413)))
        connection.stopping.wait() if then == "hold" else connection.linger()

    with FaultServer("good") as server, Proxy(tls=proxy_tls) as proxy, pool_of(server.url, bundle, proxy.url) as pool:
        server.default = Step("early", act, at="head")
        started, cpu = time.monotonic(), time.process_time()
        assert pool.request("POST", "/api", {}, b"x" * 50_000_000).status == 413
        assert time.monotonic() - started < 5
        assert server.executions == 0
        assert time.process_time() - cpu < 3


@pytest.mark.timing
def test_a_stall_in_tls_within_tls_ends_at_the_timeout_without_using_cpu_time(bundle: str) -> None:
    """The client waits for the socket, and does not poll it in a loop."""
    with FaultServer("good") as server, Proxy(tls="good") as proxy:
        for step, body in ((fault.silent(), b"{}"), (fault.never_reads(), b"x" * 20_000_000)):
            server.default = step
            with pool_of(server.url, bundle, proxy.url, timeout=1) as pool:
                started, cpu = time.monotonic(), time.thread_time()
                with pytest.raises(
                    ResponseTimeoutError if step.name == "silent" else (ResponseTimeoutError, NotSentError)
                ):
                    call(pool, body)
                assert time.monotonic() - started < 1.5
                assert time.thread_time() - cpu < 0.5


@pytest.mark.parametrize("proxy_tls", [None, "good"], ids=["http proxy", "https proxy"])
def test_the_dot_at_the_end_of_a_host_name_is_not_part_of_its_certificate(proxy_tls: str | None, bundle: str) -> None:
    """Such a name is absolute: it is looked up without the search domains of the machine."""
    with FaultServer("good") as server, Proxy(tls=proxy_tls) as proxy:
        with pool_of(f"https://localhost.:{server.port}", bundle, proxy.url) as pool:
            assert call(pool) == b"{}"
        assert proxy.request_lines == [f"CONNECT localhost.:{server.port}"]


def test_an_ipv6_address_is_called_and_has_brackets_in_headers(bundle: str) -> None:
    """The address may be that of the target or that of the proxy."""
    endpoint = Endpoint.from_url("https://[::1]:8443/api", bundle, "http://[::2]:3128")
    assert (endpoint.host, endpoint.port, endpoint.authority) == ("::1", 8443, "[::1]:8443")
    assert endpoint.proxy
    assert (endpoint.proxy.host, endpoint.proxy.port) == ("::2", 3128)
    with FaultServer("good") as server, Proxy() as proxy:
        with pool_of(f"https://[::1]:{server.port}", bundle, proxy.url) as pool:
            assert call(pool) == b"{}"
        assert proxy.request_lines == [f"CONNECT [::1]:{server.port}"]
        assert server.requests[0].headers["Host"] == f"[::1]:{server.port}"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("proxy.example", ("proxy.example", 80, False)),
        ("proxy.example:3128", ("proxy.example", 3128, False)),
        ("HTTP://Proxy.example", ("proxy.example", 80, False)),
        ("https://proxy.example/", ("proxy.example", 443, True)),
    ],
)
def test_the_url_of_a_proxy_may_omit_scheme_and_port(url: str, expected: tuple[str, int, bool]) -> None:
    """http is the default scheme."""
    proxy = Endpoint.from_url("http://target", "", url).proxy
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.is_tls) == expected


UNUSABLE_PROXIES = (
    *("socks5://user:hunter2@h:1", "socks5h://h", "ftp://u:hunter2@h"),
    *("http://u:hunter2@:1", "http://u:hunter2@h:x", "http://u:hunter2@h:0", "http://[hunter2"),
)


@pytest.mark.parametrize("url", UNUSABLE_PROXIES)
def test_an_unusable_proxy_is_rejected_without_showing_its_password(url: str) -> None:
    """The endpoint is made at `open`, so `open` raises the error."""
    with pytest.raises(ValueError, match="proxy") as caught:
        Endpoint.from_url("http://target", "", url)
    assert "hunter2" not in str(caught.value)


def test_port_0_is_rejected() -> None:
    """It is not replaced by the default port. The URL may come from AWS's own settings."""
    with pytest.raises(ValueError, match="port"):
        Endpoint.from_url("http://target:0", "")


def test_the_repr_of_an_endpoint_does_not_show_the_proxys_password() -> None:
    """Tools that print local variables use it."""
    endpoint = Endpoint.from_url("http://target", "", "http://user:hunter2@h")
    assert "hunter2" not in repr(endpoint)
    assert "dXNlcjpodW50ZXIy" not in repr(endpoint)


def test_the_wire_imports_neither_requests_nor_boto3() -> None:
    """`_wire` does not depend on other layers."""
    code = "import sys, pip_services4_serverless._wire; print(*{'requests', 'urllib3', 'boto3'} & set(sys.modules))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == ""
