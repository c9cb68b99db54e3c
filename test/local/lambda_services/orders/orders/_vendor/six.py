"""An old version of a package that is also installed."""

__version__ = "0.9 of the package"


def iteritems(items):
    """The items of a dict."""
    return iter(items.items())
