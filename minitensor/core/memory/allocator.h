/* Memory of the devices.  The essay is in allocator.c. */
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
    int64_t capacity;     /* 0: no limit */
    mt_memory_stats stats;
    struct mt_block *cache[128]; /* free blocks by size class */
} mt_device;

extern mt_device mt_devices[MT_MAX_DEVICES];
extern atomic_int mt_device_count;

/* Registers a device without a stream.  Returns its id; -1: all MT_MAX_DEVICES places are in
 * use. */
int mt_device_enter(const char *name, int flags, int64_t capacity, int alignment);

/* Reserves a block: counts its bytes as allocated on the device.  Returns false if they exceed
 * the capacity.  With `data`, and a cached block of the size, also commits that block and stores
 * its address in *data.  Takes the lock of the device. */
bool mt_block_reserve(mt_device *device, int64_t nbytes, char **data);

/* Commits a reserved block and returns it, owned by the caller.  Returns NULL if the system has
 * no memory; the reservation remains.  Takes the lock of the device. */
char *mt_block_commit(mt_device *device, int64_t nbytes);

/* Frees a block of `nbytes` bytes, as passed to mt_block_reserve; data NULL: cancels a
 * reservation without a block.  Takes the lock of the device. */
void mt_block_free(mt_device *device, char *data, int64_t nbytes);

/* Returns true if a block of `nbytes` bytes is a mapping of its own. */
bool mt_block_large(int64_t nbytes);

/* Makes the `nbytes` bytes of a committed block zero.  A large block gets zero pages, without a
 * store.  The caller owns the block alone. */
void mt_block_zero(char *data, int64_t nbytes);

/* Fork: takes the locks of all devices, releases them, initializes them in a child. */
void mt_alloc_lock_all(void);
void mt_alloc_unlock_all(void);
void mt_alloc_reset_locks(void);

#endif
