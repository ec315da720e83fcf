/* Stores of results to memory past the caches.
 *
 * The problem.  An ordinary store first reads the cache line that it overwrites, and evicts
 * another line from the cache.  For an output larger than the cache both are waste: a third of
 * the traffic of `a + b`.
 *
 * The solution.  A non-temporal store of whole lines does neither.  Its source should be a
 * finished tile in the first-level cache, which is read once.  Pieces that meet inside a line
 * cost as much as ordinary stores there, so the caller cuts an output at the boundaries of its
 * lines.
 *
 * These stores are not ordered with others: the thread calls mt_stream_fence() before it passes
 * the memory to another thread. */
/* Copies nbytes bytes past the caches, where the processor can; without x86, by memcpy. */
#ifdef MT_X86
#include <emmintrin.h>
static void stream(void *dst, const void *src, size_t nbytes) {
    enum { LINE = 64 };
    char *to = dst;
    const char *from = src;
    size_t head = -(uintptr_t)to & (LINE - 1);
    if (nbytes < head + LINE) head = nbytes;
    memcpy(to, from, head);
    for (to += head, from += head, nbytes -= head; nbytes >= LINE;
         to += LINE, from += LINE, nbytes -= LINE)
        for (int i = 0; i < LINE; i += 16)
            _mm_stream_si128((__m128i *)(to + i), _mm_loadu_si128((const __m128i *)(from + i)));
    memcpy(to, from, nbytes);
}
#else
static void stream(void *dst, const void *src, size_t nbytes) { memcpy(dst, src, nbytes); }
#endif
