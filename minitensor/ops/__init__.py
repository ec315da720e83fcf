"""The ops, by family.

Every function is here under its name (`ops.log`, `ops.reshape`); importing this package also gives Tensor its operators and
methods.
"""

from __future__ import annotations

from minitensor.ops import elementwise, reduce
from minitensor.ops.reduce import *  # noqa: F403

globals().update(elementwise.FUNCTIONS)
elementwise.install()
reduce.install()
