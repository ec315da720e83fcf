"""The standard module, by a file of ours: CPython's tests take a package's modules from its folder and expect this one.

Elsewhere than on Windows the import fails, with the standard module's error.
"""

import multiprocessing.popen_spawn_win32 as _standard
import sys

sys.modules[__name__] = _standard
