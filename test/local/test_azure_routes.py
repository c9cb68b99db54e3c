"""Route templates are those of ASP.NET: which paths they match, their precedence, and the URLs that they make."""

import pytest

from pip_services4_serverless.local._azure_routes import Route

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("template", "path", "values"),
    [
        ("items", "/items", {}),
        ("items", "/ITEMS/", {}),
        ("/items", "/items", {}),
        ("items", "/items/1", None),
        ("items/{id}", "/items/a b", {"id": "a b"}),
        ("items/{id}", "/items", None),
        ("items/{id}", "/items/1/2", None),
        ("items/{id}/parts", "/items//parts", None),
        ("items/{id?}", "/items", {}),
        ("items/{id?}", "/items/7", {"id": "7"}),
        ("items/{id=5}", "/items", {"id": "5"}),
        ("items/{id:int=5}/{part?}", "/items/6", {"id": "6"}),
        ("{*rest}", "/", {}),
        ("{*rest}", "/a/b", {"rest": "a/b"}),
        ("files/{**rest}", "/files", {}),
        ("files/{*rest}", "/files/a/b.txt", {"rest": "a/b.txt"}),
        ("files/{name}.{ext}", "/files/a.b.txt", {"name": "a.b", "ext": "txt"}),
        ("files/{name}.{ext?}", "/files/readme", {"name": "readme"}),
        ("v{version:int}/{x}", "/v2/y", {"version": "2", "x": "y"}),
        ("{id:int}", "/-12", {"id": "-12"}),
        ("{id:int}", "/2147483648", None),
        ("{id:int}", "/1.5", None),
        ("{id:int}", f"/{'9' * 5000}", None),
        ("{id:int}", "/\u0661", None),
        ("{id:int?}", "/x", None),
        ("{id:long}", "/2147483648", {"id": "2147483648"}),
        ("{on:bool}", "/True", {"on": "True"}),
        ("{on:bool}", "/1", None),
        ("{id:guid}", f"/{GUID}", {"id": GUID}),
        ("{id:guid}", "/0f8fad5b", None),
        ("{x:decimal}", "/1.5", {"x": "1.5"}),
        ("{x:double}", "/one", None),
        ("{x:float}", "/1e3", {"x": "1e3"}),
        ("{day:datetime}", "/2024-02-29", {"day": "2024-02-29"}),
        ("{day:datetime}", "/2023-02-29", None),
        ("{word:alpha}", "/Word", {"word": "Word"}),
        ("{word:alpha}", "/word1", None),
        ("{word:length(3)}", "/abc", {"word": "abc"}),
        ("{word:length(3)}", "/abcd", None),
        ("{word:length(2, 3)}", "/abc", {"word": "abc"}),
        ("{word:minlength(2):maxlength(3)}", "/a", None),
        ("{word:minlength(2):maxlength(3)}", "/ab", {"word": "ab"}),
        ("{word:minlength(2):maxlength(3)}", "/abcd", None),
        ("{n:min(3)}", "/2", None),
        ("{n:max(3)}", "/3", {"n": "3"}),
        ("{n:range(1,3)}", "/4", None),
        ("{n:range(1,3)}", "/x", None),
        (r"{code:regex(^\d{{2}}-(a|b:c)$)}", "/12-B:C", {"code": "12-B:C"}),
        (r"{code:regex(^(?=a).*$)}", "/b", None),
        ("{x:required}", "/y", {"x": "y"}),
    ],
)
def test_template_matches_like_asp_net(template: str, path: str, values: dict[str, str] | None) -> None:
    """It has the same route values."""
    assert Route(template).match(path) == values


@pytest.mark.parametrize(
    "template", ["{id", "id}", "{}", "{id:odd}", "{id:int(3)}", "{id:length(a)}", "{id:regex([)}", "{:int}"]
)
def test_invalid_template_raises(template: str) -> None:
    """ASP.NET cannot read such a template. It is a ValueError, not a route that never matches."""
    with pytest.raises(ValueError, match="route"):
        Route(template)


def test_the_most_specific_route_takes_precedence() -> None:
    """Literal segments come first, then constrained parameters, then others, then the rest of the path."""
    templates = ["{*rest}", "a/{*rest}", "{id}", "a/{id}/c", "a/{id}", "a/b", "a/{*rest:alpha}", "a/{id:int}"]
    templates.sort(key=lambda template: Route(template).precedence)
    assert templates == ["a/b", "a/{id:int}", "a/{id}", "a/{id}/c", "a/{*rest:alpha}", "a/{*rest}", "{id}", "{*rest}"]
    assert Route("a/x{id}").precedence == Route("a/{id:int}").precedence


@pytest.mark.parametrize(
    ("template", "values", "path"),
    [
        ("items", {}, "/api/items"),
        ("items/{id:int}", {"id": 7}, "/api/items/7"),
        ("items/{id}", {"id": "a/b?c"}, "/api/items/a%2Fb%3Fc"),
        ("items/{id?}", {}, "/api/items"),
        ("{*rest}", {"rest": "a/b c"}, "/api/a/b%20c"),
    ],
)
def test_path_has_the_values(template: str, values: dict[str, object], path: str) -> None:
    """The route would match this path with those values."""
    assert Route(template, "api").path(values) == path


def test_missing_and_unknown_values_raise() -> None:
    """The error has their names."""
    with pytest.raises(ValueError, match="needs a value for id and has no parameter part"):
        Route("items/{id}").path({"part": 1})
