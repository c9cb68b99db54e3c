"""Raises its own exceptions, which have attributes besides their text."""


class ShopError(Exception):
    """The base of the shop's errors."""


class OutOfStockError(ShopError):
    """There is less than was ordered."""

    def __init__(self, product, left):
        super().__init__(product, left)
        self.product, self.left = product, left

    def __str__(self):
        return f"only {self.left} of {self.product} are left"


STOCK = {"tea": 2}


def reserve(event, context):
    """Reserve some of a product."""
    try:
        left = STOCK[event["product"]]
    except KeyError as err:
        raise ShopError from err
    if left < event["count"]:
        raise OutOfStockError(event["product"], left)
    return left - event["count"]
