"""For the tests that use `pip_services4_container`."""

import sys

import pytest

needs_container = pytest.mark.skipif(
    sys.version_info >= (3, 13), reason="pip_services4_container does not import on Python 3.13 and later"
)
