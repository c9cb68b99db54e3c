# shop.py
"""A shop whose stock is a serverless function. Only the YAML file says on which cloud it is."""

import os
import sys

from pip_services4_commons.errors import NotFoundException
from pip_services4_components.build import Factory
from pip_services4_components.config import ConfigParams
from pip_services4_components.context import Context
from pip_services4_components.refer import Descriptor, IReferenceable
from pip_services4_components.run import IOpenable
from pip_services4_container import Container

from pip_services4_serverless.build import DefaultServerlessFactory


class Shop(IReferenceable, IOpenable):
    """Sells articles. It calls the client that the container has for the service `stock`."""

    def __init__(self):
        self._stock = None
        self._opened = False

    def set_references(self, references):
        self._stock = references.get_one_required(Descriptor("*", "client", "*", "stock", "1.0"))

    def is_open(self):
        return self._opened

    def open(self, context):
        self._opened = True
        self.sell(context, "tea", 2)
        self.sell(context, "gold", 1)

    def close(self, context):
        self._opened = False

    def sell(self, context, article, amount):
        try:
            params = {"article": article, "amount": amount}
            result = self._stock.call_command("take", context, params)
            print(f"Sold {amount} {article}, {result['left']} left")
        except NotFoundException as err:
            print(f"Not sold: {err}")


class ShopContainer(Container):
    def __init__(self):
        super().__init__("shop", "Sells what is in stock")
        factory = Factory()
        factory.register_as_type(Descriptor("shop", "service", "default", "*", "1.0"), Shop)
        self.add_factory(factory)
        self.add_factory(DefaultServerlessFactory())


if __name__ == "__main__":
    context = Context.from_trace_id("shop-1")
    container = ShopContainer()
    container.read_config_from_file(context, sys.argv[1], ConfigParams.from_value(dict(os.environ)))
    container.open(context)
    container.close(context)
