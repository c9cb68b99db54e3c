"""A handler in a package."""

from . import __name__ as package


def handler(event, context):
    """Tell where it is."""
    return package
