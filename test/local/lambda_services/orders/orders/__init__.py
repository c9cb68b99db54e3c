"""A package that contains its dependency, as in an uploaded zip archive."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).with_name("_vendor")))
