"""The lines of an order."""

import six


def total(lines):
    """The sum of the prices, which are given by product."""
    return sum(price for _, price in six.iteritems(lines))
