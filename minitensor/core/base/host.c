#include "base/host.h"

atomic_int mt_may_block;
atomic_bool mt_python_gone;

void mt_host_release(void *handle) {
    if (handle && !atomic_load(&mt_python_gone)) mt_py_release(handle);
}
