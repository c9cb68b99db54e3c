"""Route templates of HTTP triggers. The front end of Azure Functions uses those of ASP.NET."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from urllib.parse import quote
from uuid import UUID

# One parameter in braces; a brace inside it, as in a regex constraint, is doubled.
_PARAMETER = re.compile(r"\{((?:[^{}]|\{\{|\}\})+)\}")
_DECLARATION = re.compile(r"([^:=]+)((?::\w+(?:\(.*?\))?)*)(?:=(.*))?")
_CONSTRAINT = re.compile(r":(\w+)(?:\((.*?)\))?(?=:\w|$)")


def _parses(parse: Callable[[str], object]) -> Callable[..., bool]:
    def check(value: str) -> bool:
        try:
            parse(value)
        except ValueError:
            return False
        return True

    return check


def _is_integer(value: str, bits: int) -> bool:
    # Python does not convert more than 4300 digits.
    return re.fullmatch(r"[+-]?[0-9]{1,4300}", value) is not None and -(2 ** (bits - 1)) <= int(value) < 2 ** (bits - 1)


def _in_range(value: str, low: float, high: float) -> bool:
    return _is_integer(value, 64) and low <= int(value) <= high


_INFINITY = float("inf")
_CONSTRAINTS: dict[str, Callable[..., bool]] = {
    "int": lambda value: _is_integer(value, 32),
    "long": lambda value: _is_integer(value, 64),
    "bool": lambda value: value.lower() in ("true", "false"),
    "guid": _parses(UUID),
    "decimal": _parses(float),
    "double": _parses(float),
    "float": _parses(float),
    "datetime": _parses(datetime.fromisoformat),
    "alpha": lambda value: re.fullmatch("[A-Za-z]*", value) is not None,
    "length": lambda value, low, high=None: int(low) <= len(value) <= int(high or low),
    "minlength": lambda value, low: len(value) >= int(low),
    "maxlength": lambda value, high: len(value) <= int(high),
    "min": lambda value, low: _in_range(value, int(low), _INFINITY),
    "max": lambda value, high: _in_range(value, -_INFINITY, int(high)),
    "range": lambda value, low, high: _in_range(value, int(low), int(high)),
    "regex": lambda value, pattern: re.search(pattern, value, re.IGNORECASE) is not None,
    "required": bool,
}


class _Parameter:
    """One `{...}` of a template: `{id}`, `{id:int:min(1)}`, `{id?}`, `{id=7}`, `{*rest}`."""

    def __init__(self, text: str) -> None:
        text = text.replace("{{", "{").replace("}}", "}")
        bare = text.lstrip("*")
        self.catch_all = bare != text
        self.optional = bare.endswith("?")
        declaration = _DECLARATION.fullmatch(bare.removesuffix("?"))
        if declaration is None:
            raise ValueError(f"the route parameter {{{text}}} is not valid")
        self.name, constraints, self.default = declaration.groups()
        self.constraints: list[Callable[[str], bool]] = []
        for name, arguments in _CONSTRAINT.findall(constraints):
            self.constraints.append(self._constraint(text, name.lower(), arguments))

    def _constraint(self, text: str, name: str, arguments: str) -> Callable[[str], bool]:
        check = _CONSTRAINTS.get(name)
        if check is None:
            raise ValueError(f"the route parameter {{{text}}} has an unknown constraint {name!r}")
        given = [arguments] if name == "regex" else [a.strip() for a in arguments.split(",") if a.strip()]
        try:
            check("0", *given)
        except (TypeError, ValueError, re.error) as error:
            raise ValueError(f"the route parameter {{{text}}} has an invalid constraint: {error}") from error
        return lambda value: check(value, *given)

    @property
    def may_be_absent(self) -> bool:
        return self.optional or self.catch_all or self.default is not None


class Route:
    """The route of a function. It matches paths, and makes a path from route values.

    Raises `ValueError` if the template is not valid.
    """

    def __init__(self, template: str, prefix: str = "") -> None:
        self.template = template.strip("/")
        whole = "/" + "/".join(part for part in (prefix.strip("/"), self.template) if part)
        parts = _PARAMETER.split(whole)  # literal, parameter, literal, ...
        self._literals = parts[::2]
        self._parameters = [_Parameter(text) for text in parts[1::2]]
        if any(brace in literal for literal in self._literals for brace in "{}"):
            raise ValueError(f"the braces of the route {template!r} do not match")
        pattern = ""
        for index, literal in enumerate(self._literals):
            pattern += re.escape(literal)
            if index < len(self._parameters):
                parameter = self._parameters[index]
                group = f"(?P<p{index}>{'.*' if parameter.catch_all else '[^/]+'})"
                # Without an optional parameter, the separator before it is missing too.
                if parameter.may_be_absent and literal.endswith(("/", ".")):
                    pattern = pattern.removesuffix(re.escape(literal[-1]))
                    group = f"(?:{re.escape(literal[-1])}{group})"
                pattern += group + ("?" if parameter.may_be_absent else "")
        self._pattern = re.compile(pattern, re.IGNORECASE | re.DOTALL)
        self.precedence = tuple(self._precedence(_PARAMETER.sub("\0", whole).strip("/")))

    def _precedence(self, marked: str) -> list[int]:
        """The sort key of the route, as in ASP.NET: a number for each segment, where a lower one comes first.

        Args:
            marked: the route, with the character NUL in place of each parameter.
        """
        numbers, parameters = [], iter(self._parameters)
        for segment in marked.split("/"):
            inside = [next(parameters) for _ in range(segment.count("\0"))]
            if not inside:
                numbers.append(1)
            elif segment != "\0":
                numbers.append(2)
            else:
                numbers.append((5 if inside[0].catch_all else 3) - bool(inside[0].constraints))
        return numbers

    @property
    def path_template(self) -> str:
        """The path, with `{name}` for each parameter."""
        path = self._literals[0]
        for parameter, literal in zip(self._parameters, self._literals[1:], strict=True):
            path += f"{{{parameter.name}}}{literal}"
        return path

    def match(self, path: str) -> dict[str, str] | None:
        """The route values of a decoded path, or None if the path does not match this route."""
        found = self._pattern.fullmatch(path.rstrip("/") or "/")
        if found is None:
            return None
        values = {}
        for index, parameter in enumerate(self._parameters):
            value = found[f"p{index}"] or parameter.default
            if value:
                if not all(check(value) for check in parameter.constraints):
                    return None
                values[parameter.name] = value
        return values

    def path(self, values: Mapping[str, object]) -> str:
        """The path for these route values. Raises `ValueError` if one is missing or unknown."""
        names = [parameter.name for parameter in self._parameters]
        missing = [p.name for p in self._parameters if p.name not in values and not p.may_be_absent]
        unknown = sorted(set(values) - set(names))
        if missing or unknown:
            problems = [f"needs a value for {', '.join(missing)}"] * bool(missing)
            problems += [f"has no parameter {', '.join(unknown)}"] * bool(unknown)
            raise ValueError(f"the route {self.template!r} {' and '.join(problems)}")
        path = self._literals[0]
        for parameter, literal in zip(self._parameters, self._literals[1:], strict=True):
            if parameter.name in values:
                path += quote(str(values[parameter.name]), safe="/" if parameter.catch_all else "")
            path += literal
        return path.rstrip("/") or "/"
