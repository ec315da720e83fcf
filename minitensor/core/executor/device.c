#include "executor/executor.h"
#include "memory/allocator.h"

int mt_device_new(const char *name, int flags, int64_t capacity, int alignment) {
    int id = mt_device_enter(name, flags, capacity, alignment);
    if (id >= 0) mt_devices[id].default_stream = mt_stream_new(id);
    return id;
}
