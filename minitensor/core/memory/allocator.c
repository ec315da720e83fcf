/* Memory of the devices.
 *
 * The problem.  A fresh large block costs more than the op that fills it: the kernel must find,
 * zero and map each page (some 0.25 us for 4 KiB, where log needs 0.4 us for the same elements).
 * So the device keeps freed blocks by size class and reuses them.  It returns the block that was
 * freed last first, because that block is still in the cache of the processor.  Each doubling
 * has four classes, so at most a fifth is wasted.  MT_SETTING_CACHE bounds the kept bytes, and
 * the device returns them to the system when an allocation fails.
 *
 * A block of 4 MiB or more is a mapping of its own.  Memory full of zeros (mt_block_zero) then
 * costs no store: the block returns its pages to the system, which maps zero pages where the block
 * is first touched.  This holds for a new block, whose pages are zero anyhow, and for a block of
 * the cache, so a loop over new zeros keeps to one block.  Smaller blocks are cleared: their pages
 * would cost more than the stores.
 *
 * Memory is reserved at the call of an op and committed when the op runs.  So the submitter gets
 * the error of a full device at the call.  The result of a queued op still takes a block that an
 * earlier op has just released, and a result that no task needs (plan.c) takes no memory.
 * Reserved memory counts as allocated.
 * Zero pages are the exception: the call commits the block, because the system commits its pages
 * only when they are touched.
 *
 * A device may have a capacity, as the simulated Ascend has.  The capacity allocates nothing in
 * advance; it only says when to refuse.
 *
 * Locks.  The `lock` of each device guards its statistics and its cache.  A thread holds it for
 * a few instructions, never while the system allocates memory and never while Python runs.  It
 * is recursive, since a fork holds it (mt_alloc_lock_all) while other hooks before the fork may
 * release tensors in the same thread. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/sync.h"
#include "base/testpoints.h"
#include "memory/allocator.h"

enum { SMALLEST = 64, HUGE_PAGE = 2 << 20, LARGE = 2 * HUGE_PAGE, N_CLASSES = 128 };

/* A cached block.  A small one holds this note itself; a large one is not touched, so that its
 * zero pages stay unmapped. */
typedef struct mt_block {
    struct mt_block *next;
    char *data;
    int64_t size;
} mt_block;

mt_device mt_devices[MT_MAX_DEVICES];
atomic_int mt_device_count;

/* Returns the class of a size, or -1 if blocks of the size are not cached; `rounded` gets the
 * size of the class: 64, 80, 96, 112, 128, 160, ... rounded up to 64 bytes. */
static int size_class(int64_t nbytes, int64_t *rounded) {
    if (nbytes <= SMALLEST) {
        *rounded = SMALLEST;
        return 0;
    }
    /* 2^doubling < nbytes <= 2^(doubling+1) */
    int doubling = 63 - __builtin_clzll((uint64_t)(nbytes - 1));
    int64_t step = ((int64_t)1 << doubling) / 4;
    int64_t quarter = (nbytes - ((int64_t)1 << doubling) + step - 1) / step; /* 1 to 4 */
    *rounded = (((int64_t)1 << doubling) + quarter * step + SMALLEST - 1) / SMALLEST * SMALLEST;
    int index = (doubling - 6) * 4 + (int)quarter;
    return index < N_CLASSES ? index : -1;
}

/* Returns a mapping of whole pages, zero and aligned; NULL: the system has none.  The mapping is
 * made with room for the alignment, and what lies around the aligned part is unmapped. */
static char *map_pages(int64_t nbytes, int64_t alignment) {
    int64_t room = nbytes + alignment;
    char *mapping =
        mmap(NULL, (size_t)room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) return NULL;
    int64_t before = -(int64_t)(uintptr_t)mapping & (alignment - 1), after = room - before - nbytes;
    char *data = mapping + before;
    if (before) munmap(mapping, (size_t)before);
    if (after) munmap(data + nbytes, (size_t)after);
#ifdef MADV_HUGEPAGE
    madvise(data, (size_t)nbytes, MADV_HUGEPAGE); /* A hint: a refusal has no effect. */
#endif
    return data;
}

/* Returns memory of the system, owned by the caller; NULL: the system has none.  Holds no lock. */
static char *system_alloc(int64_t nbytes, int64_t alignment) {
    if (nbytes >= LARGE) return map_pages(nbytes, alignment < HUGE_PAGE ? HUGE_PAGE : alignment);
    void *data = NULL;
    return posix_memalign(&data, (size_t)alignment, (size_t)nbytes) == 0 ? data : NULL;
}

/* Frees what system_alloc returned. */
static void system_free(char *data, int64_t nbytes) {
    if (nbytes >= LARGE) munmap(data, (size_t)nbytes);
    else free(data);
}

int mt_device_enter(const char *name, int flags, int64_t capacity, int alignment) {
    int id = atomic_fetch_add(&mt_device_count, 1);
    if (id >= MT_MAX_DEVICES) {
        atomic_fetch_sub(&mt_device_count, 1);
        return -1;
    }
    mt_device *device = &mt_devices[id];
    snprintf(device->name, sizeof device->name, "%s", name);
    device->flags = flags;
    device->alignment = alignment < SMALLEST ? SMALLEST : alignment;
    device->capacity = device->stats.capacity = capacity;
    mt_mutex_init(&device->lock);
    return id;
}

/* Moves all cached blocks to `chain`, for free_chain, and returns their bytes.  Called with the
 * lock held. */
static int64_t trim_locked(mt_device *device, mt_block **chain) {
    int64_t freed = 0;
    for (int i = 0; i < N_CLASSES; i++) {
        mt_block *last = device->cache[i];
        if (!last) continue;
        while (last->next) last = last->next;
        last->next = *chain;
        *chain = device->cache[i];
        device->cache[i] = NULL;
    }
    freed = device->stats.reserved - device->stats.allocated;
    device->stats.reserved = device->stats.allocated;
    device->stats.cached_blocks = 0;
    return freed;
}

/* Frees a chain of blocks.  Called without the lock. */
static void free_chain(mt_block *chain) {
    while (chain) {
        mt_block *next = chain->next;
        char *data = chain->data;
        int64_t size = chain->size;
        if (size >= LARGE) free(chain);
        system_free(data, size);
        chain = next;
    }
}

int64_t mt_device_trim(int id) {
    mt_device *device = &mt_devices[id];
    mt_block *chain = NULL;
    pthread_mutex_lock(&device->lock);
    int64_t freed = trim_locked(device, &chain);
    pthread_mutex_unlock(&device->lock);
    free_chain(chain);
    return freed;
}

/* Adds to the statistics.  Called with the lock held. */
static void count(mt_device *device, int64_t allocated, int64_t reserved) {
    mt_memory_stats *stats = &device->stats;
    stats->allocated += allocated;
    stats->reserved += reserved;
    if (allocated > 0) stats->allocations++;
    if (stats->allocated > stats->max_allocated) stats->max_allocated = stats->allocated;
    if (stats->reserved > stats->max_reserved) stats->max_reserved = stats->reserved;
}

/* Takes a block from the cache; NULL: the class has none.  Called with the lock held. */
static char *take_cached(mt_device *device, int class, int64_t size) {
    mt_block *block = class >= 0 ? device->cache[class] : NULL;
    if (!block) return NULL;
    device->cache[class] = block->next;
    device->stats.cached_blocks--;
    /* The block counted twice: as cached and as reserved. */
    device->stats.reserved -= size;
    char *data = block->data;
    if (size >= LARGE) free(block);
    return data;
}

bool mt_block_reserve(mt_device *device, int64_t nbytes, char **data) {
    if (nbytes > INT64_MAX / 2) return false;
    int64_t size;
    mt_block *chain = NULL;
    int class = size_class(nbytes < device->alignment ? device->alignment : nbytes, &size);
    pthread_mutex_lock(&device->lock);
    if (device->capacity && device->stats.reserved + size > device->capacity)
        trim_locked(device, &chain);
    bool fits = !device->capacity || device->stats.reserved + size <= device->capacity;
    if (fits) count(device, size, size);
    if (fits && data) *data = take_cached(device, class, size);
    pthread_mutex_unlock(&device->lock);
    free_chain(chain);
    return fits;
}

char *mt_block_commit(mt_device *device, int64_t nbytes) {
    int64_t size;
    int class = size_class(nbytes < device->alignment ? device->alignment : nbytes, &size);
    pthread_mutex_lock(&device->lock);
    char *data = take_cached(device, class, size);
    pthread_mutex_unlock(&device->lock);
    if (data) return data;
    mt_point(MT_POINT_ALLOC);
    data = system_alloc(size, device->alignment);
    if (!data && mt_device_trim((int)(device - mt_devices)) > 0)
        data = system_alloc(size, device->alignment);
    return data;
}

void mt_block_free(mt_device *device, char *data, int64_t nbytes) {
    int64_t size;
    int class = size_class(nbytes < device->alignment ? device->alignment : nbytes, &size);
    mt_block *block = data && size >= LARGE ? malloc(sizeof *block) : (mt_block *)data;
    pthread_mutex_lock(&device->lock);
    bool keep = block && class >= 0 &&
                device->stats.reserved - device->stats.allocated + size <=
                    atomic_load(&mt_settings[MT_SETTING_CACHE]);
    count(device, -size, keep ? 0 : -size);
    if (keep) {
        *block = (mt_block){device->cache[class], data, size};
        device->cache[class] = block;
        device->stats.cached_blocks++;
    }
    pthread_mutex_unlock(&device->lock);
    if (keep || !data) return;
    if (size >= LARGE) free(block);
    system_free(data, size);
}

bool mt_block_large(int64_t nbytes) {
    int64_t size;
    size_class(nbytes, &size);
    return size >= LARGE;
}

void mt_block_zero(char *data, int64_t nbytes) {
#ifdef __linux__
    /* Refused for locked memory. */
    if (mt_block_large(nbytes) && madvise(data, (size_t)nbytes, MADV_DONTNEED) == 0) return;
#endif
    memset(data, 0, (size_t)nbytes);
}

void mt_device_stats(int id, mt_memory_stats *out) {
    pthread_mutex_lock(&mt_devices[id].lock);
    *out = mt_devices[id].stats;
    pthread_mutex_unlock(&mt_devices[id].lock);
}

void mt_device_reset_max(int id) {
    mt_memory_stats *stats = &mt_devices[id].stats;
    pthread_mutex_lock(&mt_devices[id].lock);
    stats->max_allocated = stats->allocated;
    stats->max_reserved = stats->reserved;
    pthread_mutex_unlock(&mt_devices[id].lock);
}

void mt_device_set_capacity(int id, int64_t capacity) {
    pthread_mutex_lock(&mt_devices[id].lock);
    mt_devices[id].capacity = mt_devices[id].stats.capacity = capacity;
    pthread_mutex_unlock(&mt_devices[id].lock);
}

void mt_device_lose(int id, const char *why) {
    snprintf(mt_devices[id].why_lost, sizeof mt_devices[id].why_lost, "%s", why);
    atomic_store(&mt_devices[id].lost, true);
}

void mt_alloc_lock_all(void) {
    for (int i = 0; i < atomic_load(&mt_device_count); i++) pthread_mutex_lock(&mt_devices[i].lock);
}

void mt_alloc_unlock_all(void) {
    for (int i = atomic_load(&mt_device_count) - 1; i >= 0; i--)
        pthread_mutex_unlock(&mt_devices[i].lock);
}

void mt_alloc_reset_locks(void) {
    for (int i = 0; i < atomic_load(&mt_device_count); i++) mt_mutex_init(&mt_devices[i].lock);
}
