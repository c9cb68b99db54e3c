"""Where an Azure Function is, and its key."""

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
    """Parameters as a client uses them."""
    params = AzureConnectionParams.from_tuples(*tuples)
    params.normalize("T")
    return params


def refused(*tuples: Any) -> ConfigException:
    """The error of parameters that are refused, by both methods that check."""
    with pytest.raises(ConfigException) as caught:
        normalized(*tuples)
    assert caught.value.trace_id == "T"
    assert caught.value.message.startswith(f"{caught.value.details['key']}: ")
    return caught.value


def shown(error: BaseException) -> str:
    """All that a log may hold of an error, its causes included."""
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
def test_a_parameter_is_set_and_got(name: str, key: str) -> None:
    """Under its key; an empty one is none."""
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


def test_they_are_read_from_a_string() -> None:
    """Of `key=value` pairs."""
    params = AzureConnectionParams.from_string("app_name=shop;function_name=orders;auth_code=a=b==")

    assert isinstance(params, AzureConnectionParams)
    assert (params.get_app_name(), params.get_function_name(), params.get_auth_code()) == ("shop", "orders", "a=b==")


@pytest.mark.parametrize(("uri_key", "code_key"), [("uri", "auth_code"), ("connection.uri", "credential.auth_code")])
def test_they_are_read_from_tuples(uri_key: str, code_key: str) -> None:
    """With plain keys, or with those of a configuration."""
    params = AzureConnectionParams.from_tuples(uri_key, "https://h/f", code_key, "K")

    assert isinstance(params, AzureConnectionParams)
    assert (params.get_function_uri(), params.get_auth_code()) == ("https://h/f", "K")


@pytest.mark.parametrize("index", ["", "s.0", "s.main"], ids=["single", "numbered", "named"])
def test_they_are_read_from_a_configuration(index: str) -> None:
    """From single, numbered and named sections."""
    config = ConfigParams.from_tuples(
        f"connection{index}.uri", "https://h/f", f"credential{index}.auth_code", "K", "options.timeout", 5
    )

    params = AzureConnectionParams.from_config(config)

    assert dict(params) == {"uri": "https://h/f", "auth_code": "K"}


def test_the_sections_of_a_configuration_are_merged() -> None:
    """Credentials after connections."""
    config = ConfigParams.from_tuples(
        *("connections.a.app_name", "shop", "connections.b.function_name", "orders"),
        *("connections.b.auth_code", "OLD", "credentials.c.auth_code", "NEW"),
    )

    assert dict(AzureConnectionParams.from_config(config)) == {
        "app_name": "shop",
        "function_name": "orders",
        "auth_code": "NEW",
    }


def test_of_merged_configurations_the_last_wins() -> None:
    """Key by key."""
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
    """Of protocol, app and function; what has a meaning in a URL is escaped."""
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
def test_a_url_is_taken_apart(uri: str, protocol: str, app_name: str, function_name: str) -> None:
    """For who asks; the URL itself is called as it is."""
    params = normalized("uri", uri)

    assert params.get_function_uri() == uri
    assert (params.get_protocol(), params.get_app_name()) == (protocol, app_name)
    assert params.get_function_name() == function_name


def test_a_url_goes_before_its_parts() -> None:
    """As in the reference's example, which sets both."""
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
    """Without a path, with ports, addresses and names of every kind; a fragment is never sent."""
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
def test_a_key_in_the_url_is_moved(uri: str, called: str, code: str | None) -> None:
    """Out of what is called and logged; the rest of the query stays as it is."""
    params = normalized("uri", uri)

    assert params.get_function_uri() == called
    assert params.get_auth_code() == code


def test_a_key_of_its_own_goes_before_the_urls() -> None:
    """And the other is still taken out of the URL."""
    params = normalized("uri", "https://h/f?code=OLD", "auth_code", "NEW")

    assert (params.get_function_uri(), params.get_auth_code()) == ("https://h/f", "NEW")


@pytest.mark.parametrize("tuples", [("uri", "https://h/f?code=K&x=1"), ("app_name", "a", "function_name", "b c")])
def test_to_normalize_twice_changes_nothing_more(tuples: tuple[str, ...]) -> None:
    """It may be done by the resolver and by its user."""
    params = normalized(*tuples)
    once = dict(params)

    params.normalize()

    assert dict(params) == once


# --- What is refused ---


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
def test_a_wrong_parameter_is_refused(tuples: tuple[str, ...], code: str, key: str) -> None:
    """The error names the key and shows no secret."""
    error = refused(*tuples)

    assert (error.code, error.details["key"]) == (code, key)
    assert SECRET not in shown(error)


def test_an_app_name_that_is_too_long_is_named() -> None:
    """A label of a host has 63 characters at most."""
    assert refused("app_name", "a" * 64, "function_name", "f").details["key"] == "connection.app_name"


@pytest.mark.parametrize("uri", [f"https://user:{SECRET}/x@h/f", f"https://user:{SECRET}@h℀/f"])
def test_a_password_in_a_broken_url_is_not_shown(uri: str) -> None:
    """Neither by the error nor by its cause."""
    assert SECRET not in shown(refused("uri", uri))


def test_to_validate_alone_checks_the_same() -> None:
    """It changes nothing."""
    params = AzureConnectionParams.from_tuples("uri", "https://h/f?code=K")
    params.validate()
    assert dict(params) == {"uri": "https://h/f?code=K"}

    params.set_protocol("ftp")
    with pytest.raises(ConfigException, match=r"connection\.protocol"):
        params.validate("T")

    with pytest.raises(ConfigException, match=r"connection\.uri"):
        AzureConnectionParams.from_tuples("uri", "ftp://h/f").validate("T")


@pytest.mark.parametrize(
    ("url", "readable"),
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
def test_a_key_is_readable_on_the_way(url: str, readable: bool) -> None:
    """Where it crosses a network unencrypted: not to this machine itself."""
    assert is_unencrypted(url) is readable


# --- What is shown ---


@pytest.mark.defect(18)
@pytest.mark.defect(34)
@pytest.mark.parametrize("key", ["auth_code", "access_key", "client_key", "secret_key", "session_token"])
@pytest.mark.parametrize("kind", [AzureConnectionParams, AwsConnectionParams])
def test_a_secret_is_never_shown(key: str, kind: type[AzureConnectionParams]) -> None:
    """Of either provider: one's key may stand in the other's section."""
    params = kind.from_tuples("region", "eu-west-1", key, SECRET, "note", None)

    for text in (str(params), repr(params), f"{params}", params.to_string(), repr([params])):
        assert SECRET not in text
        assert "region=eu-west-1" in text
        assert f"{key}=***" in text
    assert params.secrets() == (SECRET,)


@pytest.mark.defect(18)
@pytest.mark.parametrize("query", ["?code=", "?x=1&code=", "?CODE="])
def test_a_key_in_the_url_is_never_shown(query: str) -> None:
    """Before it is moved out of it."""
    params = AzureConnectionParams.from_tuples("uri", f"https://h/f{query}{SECRET}&y=2")

    assert SECRET not in str(params) + repr(params)
    assert "y=2" in str(params)


def test_an_empty_secret_is_shown_as_empty() -> None:
    """So that a missing key can be seen."""
    params = AzureConnectionParams.from_tuples("uri", "https://h/f", "auth_code", "")

    assert str(params) == "uri=https://h/f;auth_code="
    assert repr(params) == "AzureConnectionParams('uri=https://h/f;auth_code=')"
    assert params.secrets() == ()


@pytest.mark.parametrize("key", ["credential.auth_code", "credentials.0.auth_code", "connection.access_key"])
def test_a_secret_under_a_section_is_never_shown(key: str) -> None:
    """Parameters may be made of a whole configuration."""
    config = ConfigParams.from_tuples(key, SECRET)

    for params in (AzureConnectionParams(config), AzureConnectionParams.merge_configs(config)):
        assert SECRET not in str(params) + repr(params)


@pytest.mark.parametrize(
    "password",
    [
        SECRET,
        f"a@{SECRET}",
        f"{SECRET}/a",
    ],
)
def test_a_password_in_the_url_is_never_shown(password: str) -> None:
    """It will be refused, but logs come first."""
    params = AzureConnectionParams.from_tuples("uri", f"https://user:{password}@h/f")

    assert SECRET not in str(params) + repr(params)


# --- Anything at all ---

pieces = st.sampled_from(list(".:/?&=#@[];|\\% \n\x7fhé℀\ud800")) | st.sampled_from(
    ["http://", "HTTPS://", "ftp:", "80", "code=", "::1", "%0A", "xn--", "a" * 64]
)
urls = st.lists(pieces, max_size=8).map("".join)
any_text = st.text(st.characters(exclude_categories=()), max_size=12)


@given(urls | any_text | urls.map("http://h".__add__))
@settings(max_examples=80, deadline=None)
def test_any_url_is_taken_or_refused(uri: str) -> None:
    """Nothing but the one exception; what is taken holds no key and has a host."""
    with contextlib.suppress(ConfigException):
        called = normalized("uri", uri).get_function_uri()
        assert called is not None
        assert called.startswith(("http://", "https://"))
        assert "code=" not in called.partition("?")[2].lower().split("&")


@given(any_text)
@settings(max_examples=50, deadline=None)
def test_any_key_is_taken_or_refused(auth_code: str) -> None:
    """What is taken can be put into a header."""
    with contextlib.suppress(ConfigException):
        taken = normalized("uri", "https://h/f", "auth_code", auth_code).get_auth_code() or ""
        assert taken.isascii()
        assert taken.isprintable()


@given(any_text, any_text)
@example("shop", "\ud800")
@settings(max_examples=50, deadline=None)
def test_any_names_are_taken_or_refused(app_name: str, function_name: str) -> None:
    """What is composed of them stays on Azure's own hosts."""
    with contextlib.suppress(ConfigException):
        called = normalized("app_name", app_name, "function_name", function_name).get_function_uri()
        assert str(called).startswith(f"https://{app_name}.azurewebsites.net/api/")


# --- Hosts and names that libraries read differently ---


@pytest.mark.parametrize("params", [AzureConnectionParams, AwsConnectionParams])
@pytest.mark.parametrize("character", [*'\\"<>^`{|}%', "%2f", "%5c"])
def test_a_host_that_libraries_read_differently_is_refused(params: Any, character: str) -> None:
    """urllib3 calls evil.com, where urlsplit sees a name of this machine."""
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
def test_a_host_that_is_taken_is_the_host_that_is_called(middle: str) -> None:
    """What decides on the warning of a readable key is where requests connects to."""
    params = AzureConnectionParams.from_tuples("uri", f"http://evil.com{middle}foo.localhost/api/f")
    try:
        params.normalize("T")
        called = requests.Request("POST", params.get_function_uri()).prepare().url
    except (ConfigException, requests.RequestException):
        return
    host = str(urlsplit(str(params.get_function_uri())).hostname or "")
    really = parse_url(str(called or "")).host or ""
    assert really == host if host.isascii() else really.endswith(".localhost") == host.endswith(".localhost")


@pytest.mark.parametrize("uri", ["http://[fe80::1%25eth0]/api/f", "http://[::1]/f", "https://shop_1.example/f"])
def test_an_unusual_host_is_taken(uri: str) -> None:
    """An address with its zone, a name with an underscore."""
    normalized("uri", uri)


@pytest.mark.parametrize(
    "name",
    [
        *("../admin/host/status", "..", ".", "a/../../admin", "a/./b", "/../a", "a/..", "..\\admin", "a\\..\\b"),
        *("%2e%2e/admin", "%2E./admin", ".%2e/a", "%252e%252e/admin", "..%2fadmin", "..%5cadmin", "%25252e%2E/a"),
    ],
)
def test_a_function_name_that_leaves_api_is_refused(name: str) -> None:
    """Whoever normalises the URL on its way would call another of the app's addresses, with the key."""
    error = refused("app_name", "shop", "function_name", name)

    assert (error.code, error.details["key"]) == ("WRONG_URI", "connection.function_name")


@pytest.mark.parametrize("name", ["...", "a.b", ".a", "a..", "v1.0/orders", "100%", "a%2eb"])
def test_a_dot_in_a_function_name_is_taken(name: str) -> None:
    """And arrives behind /api/."""
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
def test_a_url_without_a_scheme_is_shown(uri: str, shown: str) -> None:
    """A host without a scheme is the usual slip; what may be a key or a password is left out."""
    with pytest.raises(ConfigException) as caught:
        AzureConnectionParams.from_tuples("uri", uri).validate()

    assert caught.value.code == "WRONG_PROTOCOL"
    assert "must begin with http:// or https://" in caught.value.message
    assert shown in caught.value.message
    assert "hunter2" not in caught.value.message
