"""The URL of an Azure function, and its key."""

from __future__ import annotations

import contextlib
import json
import traceback
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import requests
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pip_services4_commons.errors import ConfigException
from pip_services4_components.config import ConfigParams
from urllib3.util import parse_url

from pip_services4_serverless.connect import AwsConnectionParams, AzureConnectionParams
from pip_services4_serverless.connect._connection_params import is_unencrypted

SECRET = "FunctionKey-hunter2-A"


def normalized(*tuples: Any) -> AzureConnectionParams:
    """Parameters in the form that a client uses."""
    params = AzureConnectionParams.from_tuples(*tuples)
    params.normalize("T")
    return params


def rejected(*tuples: Any) -> ConfigException:
    """The error for invalid parameters."""
    with pytest.raises(ConfigException) as caught:
        normalized(*tuples)
    assert caught.value.trace_id == "T"
    assert caught.value.message.startswith(f"{caught.value.details['key']}: ")
    return caught.value


def shown(error: BaseException) -> str:
    """Everything that a log may contain about an error and its causes."""
    parts = [*traceback.format_exception(error), repr(error)]
    while error is not None:
        parts += [str(error), repr(error.args), json.dumps(getattr(error, "to_json", dict)(), default=str)]
        error = error.__cause__  # type: ignore[assignment]
    return "\n".join(parts)


# --- Getters and setters ---


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("protocol", "protocol"),
        ("function_uri", "uri"),
        ("app_name", "app_name"),
        ("function_name", "function_name"),
        ("auth_code", "auth_code"),
    ],
)
def test_a_parameter_can_be_set_and_read(name: str, key: str) -> None:
    """Each parameter has its own key. An empty value counts as missing."""
    params = AzureConnectionParams()
    get, put = getattr(params, f"get_{name}"), getattr(params, f"set_{name}")
    assert get() is None

    put("value")
    assert get() == "value"
    assert params.get(key) == "value"

    for empty in ("", None):
        put(empty)
        assert get() is None


# --- The four ways to make them ---


def test_parameters_are_read_from_a_string() -> None:
    """The string has `key=value` pairs."""
    params = AzureConnectionParams.from_string("app_name=shop;function_name=orders;auth_code=a=b==")

    assert isinstance(params, AzureConnectionParams)
    assert (params.get_app_name(), params.get_function_name(), params.get_auth_code()) == ("shop", "orders", "a=b==")


@pytest.mark.parametrize(("uri_key", "code_key"), [("uri", "auth_code"), ("connection.uri", "credential.auth_code")])
def test_parameters_are_read_from_tuples(uri_key: str, code_key: str) -> None:
    """The keys may have the prefixes of a configuration."""
    params = AzureConnectionParams.from_tuples(uri_key, "https://h/f", code_key, "K")

    assert isinstance(params, AzureConnectionParams)
    assert (params.get_function_uri(), params.get_auth_code()) == ("https://h/f", "K")


@pytest.mark.parametrize("index", ["", "s.0", "s.main"], ids=["single", "numbered", "named"])
def test_parameters_are_read_from_a_configuration(index: str) -> None:
    """The sections may be single, numbered or named."""
    config = ConfigParams.from_tuples(
        f"connection{index}.uri", "https://h/f", f"credential{index}.auth_code", "K", "options.timeout", 5
    )

    params = AzureConnectionParams.from_config(config)

    assert dict(params) == {"uri": "https://h/f", "auth_code": "K"}


def test_the_sections_of_a_configuration_are_merged() -> None:
    """Credentials override connections."""
    config = ConfigParams.from_tuples(
        *("connections.a.app_name", "shop", "connections.b.function_name", "orders"),
        *("connections.b.auth_code", "OLD", "credentials.c.auth_code", "NEW"),
    )

    assert dict(AzureConnectionParams.from_config(config)) == {
        "app_name": "shop",
        "function_name": "orders",
        "auth_code": "NEW",
    }


def test_the_last_of_merged_configurations_overrides_the_others() -> None:
    """Each key is merged separately."""
    params = AzureConnectionParams.merge_configs(
        ConfigParams.from_tuples("app_name", "a", "auth_code", "K"), ConfigParams.from_tuples("app_name", "b")
    )

    assert isinstance(params, AzureConnectionParams)
    assert dict(params) == {"app_name": "b", "auth_code": "K"}


# --- The URL ---


@pytest.mark.parametrize(
    ("tuples", "uri"),
    [
        (("app_name", "shop", "function_name", "orders"), "https://shop.azurewebsites.net/api/orders"),
        (("protocol", "http", "app_name", "s-1", "function_name", "o"), "http://s-1.azurewebsites.net/api/o"),
        (
            ("protocol", "", "app_name", "s", "function_name", "v1/o_x-y.z~"),
            "https://s.azurewebsites.net/api/v1/o_x-y.z~",
        ),
        (("app_name", "s", "function_name", "a b?c#d"), "https://s.azurewebsites.net/api/a%20b%3Fc%23d"),
        (("app_name", "s", "function_name", "žluť"), "https://s.azurewebsites.net/api/%C5%BElu%C5%A5"),
    ],
)
def test_a_url_is_composed(tuples: tuple[str, ...], uri: str) -> None:
    """The parts are protocol, app and function. Special characters are escaped."""
    assert normalized(*tuples).get_function_uri() == uri


@pytest.mark.parametrize(
    ("uri", "protocol", "app_name", "function_name"),
    [
        ("https://shop.azurewebsites.net/api/orders", "https", "shop", "orders"),
        ("http://localhost:7071/api/orders", "http", "localhost", "orders"),
        ("https://api.example.com/v1/orders/", "https", "api.example.com", "v1/orders"),
        ("http://[::1]:7071/api/orders", "http", "::1", "orders"),
    ],
)
def test_the_parts_of_a_url_can_be_read(uri: str, protocol: str, app_name: str, function_name: str) -> None:
    """The URL itself is called unchanged."""
    params = normalized("uri", uri)

    assert params.get_function_uri() == uri
    assert (params.get_protocol(), params.get_app_name()) == (protocol, app_name)
    assert params.get_function_name() == function_name


def test_a_url_overrides_its_parts() -> None:
    """The example in the reference sets both."""
    params = normalized("uri", "http://myapp.azurewebsites.net/api/f", "app_name", "other", "protocol", "https")

    assert params.get_function_uri() == "http://myapp.azurewebsites.net/api/f"
    assert (params.get_protocol(), params.get_app_name()) == ("http", "myapp")


@pytest.mark.defect(16)
@pytest.mark.parametrize(
    ("uri", "called"),
    [
        ("http://h", "http://h"),
        ("http://h/", "http://h/"),
        ("http://h:80", "http://h:80"),
        ("http://h:65535/f", "http://h:65535/f"),
        ("HTTPS://Shop/F", "https://Shop/F"),
        ("https://bücher.example/f", "https://bücher.example/f"),
        ("http://127.0.0.1:7071/api/f", "http://127.0.0.1:7071/api/f"),
        ("http://[2001:db8::1]/f", "http://[2001:db8::1]/f"),
        ("http://my_host.internal/f", "http://my_host.internal/f"),
        ("http://h./f", "http://h./f"),
        ("https://h/f#part", "https://h/f"),
        ("https://h/f%20g/é", "https://h/f%20g/é"),
    ],
)
def test_a_url_is_accepted(uri: str, called: str) -> None:
    """The URL may have no path, and any kind of port, address or name. A fragment is never sent."""
    assert normalized("uri", uri).get_function_uri() == called


@pytest.mark.parametrize(
    ("uri", "called", "code"),
    [
        ("https://h/f?code=K", "https://h/f", "K"),
        ("https://h/f?code=K&name=x", "https://h/f?name=x", "K"),
        ("https://h/f?a=1&code=K&b=2", "https://h/f?a=1&b=2", "K"),
        ("https://h/f?CODE=K", "https://h/f", "K"),
        ("https://h/f?code=a%2Bb%2Fc%3D%3D", "https://h/f", "a+b/c=="),
        ("https://h/f?code=a+b==", "https://h/f", "a+b=="),
        ("https://h/f?code=K&code=L", "https://h/f", "K"),
        ("https://h?code=K", "https://h", "K"),
        ("https://h/f?code=", "https://h/f", None),
        ("https://h/f?code", "https://h/f", None),
        ("https://h/f?a=%20&&b", "https://h/f?a=%20&b", None),
        ("https://h/f?decode=1&mycode=2", "https://h/f?decode=1&mycode=2", None),
        ("https://h/f?clientId=x", "https://h/f?clientId=x", None),
    ],
)
@pytest.mark.defect(2)
@pytest.mark.defect(18)
def test_a_key_in_the_url_is_moved_out_of_it(uri: str, called: str, code: str | None) -> None:
    """The URL may be logged. The rest of the query is not changed."""
    params = normalized("uri", uri)

    assert params.get_function_uri() == called
    assert params.get_auth_code() == code


def test_a_configured_key_overrides_the_key_in_the_url() -> None:
    """The key in the URL is still removed."""
    params = normalized("uri", "https://h/f?code=OLD", "auth_code", "NEW")

    assert (params.get_function_uri(), params.get_auth_code()) == ("https://h/f", "NEW")


@pytest.mark.parametrize("tuples", [("uri", "https://h/f?code=K&x=1"), ("app_name", "a", "function_name", "b c")])
def test_normalizing_twice_has_the_same_result(tuples: tuple[str, ...]) -> None:
    """The resolver and its user may both do it."""
    params = normalized(*tuples)
    once = dict(params)

    params.normalize()

    assert dict(params) == once


# --- Invalid parameters ---


@pytest.mark.defect(16)
@pytest.mark.parametrize(
    ("tuples", "code", "key"),
    [
        ((), "NO_CONNECTION", "connection.uri"),
        (("uri", ""), "NO_CONNECTION", "connection.uri"),
        (("auth_code", "K"), "NO_CONNECTION", "connection.uri"),
        (("protocol", "https"), "NO_CONNECTION", "connection.uri"),
        (("app_name", "shop"), "NO_CONNECTION", "connection.function_name"),
        (("function_name", "orders"), "NO_CONNECTION", "connection.app_name"),
        (("protocol", "ftp", "app_name", "a", "function_name", "f"), "WRONG_PROTOCOL", "connection.protocol"),
        (("protocol", "HTTPS", "app_name", "a", "function_name", "f"), "WRONG_PROTOCOL", "connection.protocol"),
        (("protocol", "tcp", "uri", "https://h/f"), "WRONG_PROTOCOL", "connection.protocol"),
        (("uri", "ftp://h/f"), "WRONG_PROTOCOL", "connection.uri"),
        (("uri", "file:///etc/passwd"), "WRONG_PROTOCOL", "connection.uri"),
        (("uri", "shop.azurewebsites.net/api/f"), "WRONG_PROTOCOL", "connection.uri"),
        (("uri", "localhost:7071/api/f"), "WRONG_PROTOCOL", "connection.uri"),
        (("uri", "//h/f"), "WRONG_PROTOCOL", "connection.uri"),
        (("uri", "/api/f"), "WRONG_PROTOCOL", "connection.uri"),
        (("uri", "http:///f"), "WRONG_URI", "connection.uri"),
        (("uri", "http:/h/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://:80/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://h:x/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://h:65536/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://h:-1/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://h:0/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://[::1/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://[nonsense]/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://a..b/f"), "WRONG_URI", "connection.uri"),
        (("uri", f"http://{'a' * 64}.net/f"), "WRONG_URI", "connection.uri"),
        (("uri", "http://h℀/f"), "WRONG_URI", "connection.uri"),
        (("uri", "https://h/a b"), "WRONG_URI", "connection.uri"),
        (("uri", " https://h/f"), "WRONG_URI", "connection.uri"),
        (("uri", "https://h/f\n"), "WRONG_URI", "connection.uri"),
        (("uri", "https://h\t/f"), "WRONG_URI", "connection.uri"),
        (("uri", "https://h/f\r\nX: y"), "WRONG_URI", "connection.uri"),
        (("uri", "https://h/f\x00"), "WRONG_URI", "connection.uri"),
        (("uri", "https://user@h/f"), "WRONG_URI", "connection.uri"),
        (("uri", f"https://user:{SECRET}@h/f"), "WRONG_URI", "connection.uri"),
        (("app_name", "a.b", "function_name", "f"), "WRONG_URI", "connection.app_name"),
        (("app_name", "evil.com/", "function_name", "f"), "WRONG_URI", "connection.app_name"),
        (("app_name", "-a", "function_name", "f"), "WRONG_URI", "connection.app_name"),
        (("app_name", "é", "function_name", "f"), "WRONG_URI", "connection.app_name"),
        (("app_name", "a\n", "function_name", "f"), "WRONG_URI", "connection.app_name"),
        (("uri", "https://h/f", "auth_code", f"{SECRET}\n"), "WRONG_AUTH_CODE", "credential.auth_code"),
        (("uri", "https://h/f", "auth_code", f"{SECRET} {SECRET}"), "WRONG_AUTH_CODE", "credential.auth_code"),
        (("uri", "https://h/f", "auth_code", f"{SECRET}é"), "WRONG_AUTH_CODE", "credential.auth_code"),
        (("uri", f"https://h/f?code={SECRET}%0D%0AX:%20y"), "WRONG_AUTH_CODE", "connection.uri (code)"),
        (("uri", f"https://h/f?code={SECRET}%ff"), "WRONG_AUTH_CODE", "connection.uri (code)"),
        (("uri", f"ftp://h/f?code={SECRET}"), "WRONG_PROTOCOL", "connection.uri"),
        (("uri", f"https://h:x/f?code={SECRET}"), "WRONG_URI", "connection.uri"),
        (("uri", f"https://h/ /f?code={SECRET}"), "WRONG_URI", "connection.uri"),
    ],
)
@pytest.mark.defect(18)
def test_an_invalid_parameter_is_rejected(tuples: tuple[str, ...], code: str, key: str) -> None:
    """The error names the key and shows no secret."""
    error = rejected(*tuples)

    assert (error.code, error.details["key"]) == (code, key)
    assert SECRET not in shown(error)


def test_the_error_names_an_app_name_that_is_too_long() -> None:
    """A label of a host name has at most 63 characters."""
    assert rejected("app_name", "a" * 64, "function_name", "f").details["key"] == "connection.app_name"


@pytest.mark.parametrize("uri", [f"https://user:{SECRET}/x@h/f", f"https://user:{SECRET}@h℀/f"])
def test_a_password_in_an_invalid_url_is_not_shown(uri: str) -> None:
    """The error and its cause do not contain it."""
    assert SECRET not in shown(rejected("uri", uri))


def test_validating_checks_the_same_as_normalizing() -> None:
    """Validation does not change the parameters."""
    params = AzureConnectionParams.from_tuples("uri", "https://h/f?code=K")
    params.validate()
    assert dict(params) == {"uri": "https://h/f?code=K"}

    params.set_protocol("ftp")
    with pytest.raises(ConfigException, match=r"connection\.protocol"):
        params.validate("T")

    with pytest.raises(ConfigException, match=r"connection\.uri"):
        AzureConnectionParams.from_tuples("uri", "ftp://h/f").validate("T")


@pytest.mark.parametrize(
    ("url", "unencrypted"),
    [
        ("https://h/f", False),
        ("https://10.0.0.1/f", False),
        ("http://h/f", True),
        ("http://10.0.0.1:80/f", True),
        ("http://[2001:db8::1]/f", True),
        ("http://mylocalhost/f", True),
        ("http://LOCALHOST:7071/f", False),
        ("http://app.localhost/f", False),
        ("http://127.8.9.1/f", False),
        ("http://[::1]:7071/f", False),
    ],
)
def test_http_to_another_machine_is_unencrypted(url: str, unencrypted: bool) -> None:
    """Loopback addresses are safe, because nothing leaves the machine."""
    assert is_unencrypted(url) is unencrypted


# --- Secrets ---


@pytest.mark.defect(18)
@pytest.mark.defect(34)
@pytest.mark.parametrize("key", ["auth_code", "access_key", "client_key", "secret_key", "session_token"])
@pytest.mark.parametrize("kind", [AzureConnectionParams, AwsConnectionParams])
def test_a_secret_is_never_shown(key: str, kind: type[AzureConnectionParams]) -> None:
    """The parameters of each provider hide the keys of both, because they share sections."""
    params = kind.from_tuples("region", "eu-west-1", key, SECRET, "note", None)

    for text in (str(params), repr(params), f"{params}", params.to_string(), repr([params])):
        assert SECRET not in text
        assert "region=eu-west-1" in text
        assert f"{key}=***" in text
    assert params.secrets() == (SECRET,)


@pytest.mark.defect(18)
@pytest.mark.parametrize("query", ["?code=", "?x=1&code=", "?CODE="])
def test_a_key_in_the_url_is_never_shown(query: str) -> None:
    """The key is hidden even before it is moved out of the URL."""
    params = AzureConnectionParams.from_tuples("uri", f"https://h/f{query}{SECRET}&y=2")

    assert SECRET not in str(params) + repr(params)
    assert "y=2" in str(params)


def test_an_empty_secret_is_shown_as_empty() -> None:
    """A user can see that the key is missing."""
    params = AzureConnectionParams.from_tuples("uri", "https://h/f", "auth_code", "")

    assert str(params) == "uri=https://h/f;auth_code="
    assert repr(params) == "AzureConnectionParams('uri=https://h/f;auth_code=')"
    assert params.secrets() == ()


@pytest.mark.parametrize("key", ["credential.auth_code", "credentials.0.auth_code", "connection.access_key"])
def test_a_secret_in_a_section_is_never_shown(key: str) -> None:
    """Parameters may be made from a whole configuration."""
    config = ConfigParams.from_tuples(key, SECRET)

    for params in (AzureConnectionParams(config), AzureConnectionParams.merge_configs(config)):
        assert SECRET not in str(params) + repr(params)


@pytest.mark.parametrize(
    "key",
    [
        *("authcode", "auth-code", "AUTH_CODE", "credential.auth_cod", "function_key", "acess_key", "AccessKey"),
        *("sesion_token", "token", "client_secret", "password"),
    ],
)
def test_a_secret_with_a_misspelled_name_is_never_shown(key: str) -> None:
    """An opened client logs its parameters, and a wrong name is a common mistake."""
    params = AzureConnectionParams.from_tuples("discovery_key", "shop", "store_key", "main")
    params.put(key, SECRET)

    assert str(params) == f"discovery_key=shop;store_key=main;{key}=***"


@pytest.mark.parametrize(
    "password",
    [
        SECRET,
        f"a@{SECRET}",
        f"{SECRET}/a",
    ],
)
def test_a_password_in_the_url_is_never_shown(password: str) -> None:
    """Such a URL is rejected, but it may be logged before that."""
    params = AzureConnectionParams.from_tuples("uri", f"https://user:{password}@h/f")

    assert SECRET not in str(params) + repr(params)


# --- Random input ---

pieces = st.sampled_from(list(".:/?&=#@[];|\\% \n\x7fhé℀\ud800")) | st.sampled_from(
    ["http://", "HTTPS://", "ftp:", "80", "code=", "::1", "%0A", "xn--", "a" * 64]
)
urls = st.lists(pieces, max_size=8).map("".join)
any_text = st.text(st.characters(exclude_categories=()), max_size=12)


@given(urls | any_text | urls.map("http://h".__add__))
@settings(max_examples=80, deadline=None)
def test_any_url_is_accepted_or_rejected(uri: str) -> None:
    """No other exception is raised. An accepted URL has a host and no key."""
    with contextlib.suppress(ConfigException):
        called = normalized("uri", uri).get_function_uri()
        assert called is not None
        assert called.startswith(("http://", "https://"))
        assert "code=" not in called.partition("?")[2].lower().split("&")


@given(any_text)
@settings(max_examples=50, deadline=None)
def test_any_key_is_accepted_or_rejected(auth_code: str) -> None:
    """An accepted key can be sent in a header."""
    with contextlib.suppress(ConfigException):
        accepted = normalized("uri", "https://h/f", "auth_code", auth_code).get_auth_code() or ""
        assert accepted.isascii()
        assert accepted.isprintable()


@given(any_text, any_text)
@example("shop", "\ud800")
@settings(max_examples=50, deadline=None)
def test_any_names_are_accepted_or_rejected(app_name: str, function_name: str) -> None:
    """The host of the composed URL is always one of Azure's."""
    with contextlib.suppress(ConfigException):
        called = normalized("app_name", app_name, "function_name", function_name).get_function_uri()
        assert str(called).startswith(f"https://{app_name}.azurewebsites.net/api/")


# --- Hosts and names that libraries read differently ---


@pytest.mark.parametrize("params", [AzureConnectionParams, AwsConnectionParams])
@pytest.mark.parametrize("character", [*'\\"<>^`{|}%', "%2f", "%5c"])
def test_a_host_that_libraries_read_differently_is_rejected(params: Any, character: str) -> None:
    """urllib3 would call evil.com, where urlsplit reads a name of this machine."""
    with pytest.raises(ConfigException) as caught:
        params.from_tuples(
            *("arn", "orders", "region", "eu-west-1", "uri", f"http://evil.com{character}foo.localhost/api/f")
        ).validate("T")

    assert (caught.value.code, caught.value.details["key"]) == ("WRONG_URI", "connection.uri")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
@example("ß")
@example("\\")
@example("%25")
def test_an_accepted_host_is_the_host_that_is_called(middle: str) -> None:
    """The warning about unencrypted keys must be about the host that requests connects to."""
    params = AzureConnectionParams.from_tuples("uri", f"http://evil.com{middle}foo.localhost/api/f")
    try:
        params.normalize("T")
        called = requests.Request("POST", params.get_function_uri()).prepare().url
    except (ConfigException, requests.RequestException):
        return
    host = str(urlsplit(str(params.get_function_uri())).hostname or "")
    actual = parse_url(str(called or "")).host or ""
    assert actual == host if host.isascii() else actual.endswith(".localhost") == host.endswith(".localhost")


@pytest.mark.parametrize("uri", ["http://[fe80::1%25eth0]/api/f", "http://[::1]/f", "https://shop_1.example/f"])
def test_an_unusual_host_is_accepted(uri: str) -> None:
    """An address may have a zone, and a name may have an underscore."""
    normalized("uri", uri)


@pytest.mark.parametrize(
    "name",
    [
        *("../admin/host/status", "..", ".", "a/../../admin", "a/./b", "/../a", "a/..", "..\\admin", "a\\..\\b"),
        *("%2e%2e/admin", "%2E./admin", ".%2e/a", "%252e%252e/admin", "..%2fadmin", "..%5cadmin", "%25252e%2E/a"),
    ],
)
def test_a_function_name_that_leaves_the_api_path_is_rejected(name: str) -> None:
    """A proxy that normalises the URL would call another path of the app, with the key."""
    error = rejected("app_name", "shop", "function_name", name)

    assert (error.code, error.details["key"]) == ("WRONG_URI", "connection.function_name")


@pytest.mark.parametrize("name", ["...", "a.b", ".a", "a..", "v1.0/orders", "100%", "a%2eb"])
def test_a_dot_in_a_function_name_is_accepted(name: str) -> None:
    """The path that is called begins with /api/."""
    uri = normalized("app_name", "shop", "function_name", name).get_function_uri()
    called = requests.Request("POST", uri).prepare().url

    assert unquote(urlsplit(called or "").path) == f"/api/{name}"


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("shop.azurewebsites.net/api/prices?code=hunter2", "'shop.azurewebsites.net/api/prices'"),
        ("localhost:7071/api/f", "'localhost:7071/api/f'"),
        ("ftp://host/f#hunter2", "'ftp://host/f'"),
        ("ftp://user:hunter2@host/f", ""),
    ],
)
def test_the_error_shows_a_url_without_a_scheme(uri: str, shown: str) -> None:
    """A missing scheme is a common mistake. Parts that may be a key or a password are left out."""
    with pytest.raises(ConfigException) as caught:
        AzureConnectionParams.from_tuples("uri", uri).validate()

    assert caught.value.code == "WRONG_PROTOCOL"
    assert "must begin with http:// or https://" in caught.value.message
    assert shown in caught.value.message
    assert "hunter2" not in caught.value.message
