"""A handler in a package."""

from . import __name__ as package


def handler(event, context):
    """Returns the name of the package."""
    return package
