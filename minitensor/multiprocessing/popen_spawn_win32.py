"""The standard module, as a file of ours.

CPython's tests list the modules of a package by its folder, and expect this one. On other systems
than Windows the import fails, with the standard module's error.
"""

import multiprocessing.popen_spawn_win32 as _standard
import sys

sys.modules[__name__] = _standard
