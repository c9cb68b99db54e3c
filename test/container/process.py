"""The shop of the documentation as a process that keeps running. Its folder is in PYTHONPATH."""

import signal

from pip_services4_components.build import Factory
from pip_services4_components.refer import Descriptor
from pip_services4_container import ProcessContainer
from shop import Shop

from pip_services4_serverless.build import DefaultServerlessFactory


class ShopProcess(ProcessContainer):
    def __init__(self) -> None:
        super().__init__("shop", "Sells what is in stock")
        factory = Factory()
        factory.register_as_type(Descriptor("shop", "service", "default", "*", "1.0"), Shop)
        self.add_factory(factory)
        self.add_factory(DefaultServerlessFactory())


if __name__ == "__main__":
    # The container prints that it can be interrupted a moment too early, so the test interrupts it more than once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ShopProcess().run()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
