/* Putting results out to memory past the caches.
 *
 * An ordinary store first reads the line that it is going to overwrite, and then pushes something else out of the cache.  For an output
 * that is larger than the cache both are waste: a third of the traffic of `a + b`.  A non-temporal store of whole lines
 * does neither.  What goes out this way should lie in the first-level cache as a finished tile: read once, never looked at again.
 * Pieces that meet inside of a line cost as much as ordinary stores there, so cut an output where its lines begin.
 *
 * These stores are not ordered with others: who hands the memory to another thread calls mt_stream_fence() first. */
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
