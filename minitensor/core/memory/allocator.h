/* Memory of the devices: the essay is in allocator.c. */
#ifndef MT_ALLOCATOR_H
#define MT_ALLOCATOR_H
#include "types.h"

typedef struct mt_device {
    char name[32];
    int flags, alignment;
    atomic_bool lost;
    char why_lost[256];
    int default_stream;
    pthread_mutex_t lock; /* guards the memory fields below */
    int64_t capacity;     /* 0: no limit of its own */
    mt_memory_stats stats;
    struct mt_block *cache[128]; /* free blocks by size class */
} mt_device;

extern mt_device mt_devices[MT_MAX_DEVICES];
extern atomic_int mt_device_count;

/* Enters a device without a stream; returns its id; -1: there are as many as there can be. */
int mt_device_enter(const char *name, int flags, int64_t capacity, int alignment);

/* Reserves a block: counts its memory as the device's; false: it would be more than the device has.  data: if not NULL, where a block goes that is at hand,
 * which is committed then. */
bool mt_block_reserve(mt_device *device, int64_t nbytes, char **data);

/* Commits the memory that is reserved and returns it; NULL: the system has none, and the reservation stays. */
char *mt_block_commit(mt_device *device, int64_t nbytes);

/* Gives a block back; data NULL: what was reserved and not committed. */
void mt_block_free(mt_device *device, char *data, int64_t nbytes);

/* Fork: takes all devices' locks, gives them back, makes them anew in a child. */
void mt_alloc_lock_all(void);
void mt_alloc_unlock_all(void);
void mt_alloc_reset_locks(void);

#endif
