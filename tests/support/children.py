"""A look into a forked child."""

from __future__ import annotations

import os
from collections.abc import Callable


def in_child(check: Callable[[], object]) -> str:
    """Fork; return what the check returns or raises in the child, as text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            text = f"{check()}"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(writer, text.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    assert os.waitpid(pid, 0)[1] == 0
    return text
