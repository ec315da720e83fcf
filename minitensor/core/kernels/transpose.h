/* Transposes of blocks, in registers.
 *
 * The problem.  A transposed copy reads along one dimension and writes along the other.  A copy
 * of single elements costs a load and a store for each; a vector with the elements of N rows
 * costs one of each for all N.
 *
 * The solution.  N rows of N elements are transposed by zipping row k with row k + N/2, for all
 * rows at once, log2(N) times.  A zip is one instruction wherever vectors have 16 bytes, so one
 * loop serves every size of element.
 *
 * Rows of a large input are pages apart, where no processor predicts the next access, so the
 * loop prefetches the next rows.  It prefetches few of them, since at a stride of a power of two
 * they share a few sets of the cache.  The last prefetches are unused and harmless. */
#if defined(__clang__)
#define ZIP(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define ZIP(a, b, ...) __builtin_shuffle(a, b, (words){__VA_ARGS__})
#endif
#define LIST(...) __VA_ARGS__

/* Defines a transpose: copies the columns of src, whose rows begin src_row bytes apart, to the
 * rows of dst, which begin dst_row bytes apart.  `rows` and `columns` are those of dst. */
#define TRANSPOSE(bits, T, low, high)                                                              \
    static void transpose_##bits(char *dst, int64_t dst_row, const char *src, int64_t src_row,     \
                                 int64_t rows, int64_t columns) {                                  \
        typedef T words __attribute__((vector_size(16)));                                          \
        enum { N = 16 / sizeof(T), AHEAD = N < 8 ? 8 : N };                                        \
        for (int64_t j = 0; j < columns; j += N) {                                                 \
            for (int k = 0; k < N; k++)                                                            \
                for (int64_t b = 0; b < rows * (int64_t)sizeof(T); b += 64)                        \
                    __builtin_prefetch(                                                            \
                        (const void *)((uintptr_t)src +                                            \
                                       (uintptr_t)((j + k + AHEAD) * src_row + b)));               \
            for (int64_t i = 0; i < rows; i += N) {                                                \
                char *to = dst + i * dst_row + j * (int64_t)sizeof(T);                             \
                const char *from = src + j * src_row + i * (int64_t)sizeof(T);                     \
                if (columns - j < N || rows - i < N) {                                             \
                    for (int64_t k = 0; k < N && k < rows - i; k++)                                \
                        for (int64_t l = 0; l < N && l < columns - j; l++)                         \
                            memcpy(to + k * dst_row + l * (int64_t)sizeof(T),                      \
                                   from + l * src_row + k * (int64_t)sizeof(T), sizeof(T));        \
                    continue;                                                                      \
                }                                                                                  \
                words row[N], zipped[N];                                                           \
                for (int k = 0; k < N; k++) memcpy(&row[k], from + k * src_row, sizeof *row);      \
                for (int step = 1; step < N; step *= 2) {                                          \
                    for (int k = 0; k < N / 2; k++) {                                              \
                        zipped[2 * k] = ZIP(row[k], row[k + N / 2], low);                          \
                        zipped[2 * k + 1] = ZIP(row[k], row[k + N / 2], high);                     \
                    }                                                                              \
                    for (int k = 0; k < N; k++) row[k] = zipped[k];                                \
                }                                                                                  \
                for (int k = 0; k < N; k++) memcpy(to + k * dst_row, &row[k], sizeof *row);        \
            }                                                                                      \
        }                                                                                          \
    }
TRANSPOSE(8, uint8_t, LIST(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
          LIST(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31))
TRANSPOSE(16, uint16_t, LIST(0, 8, 1, 9, 2, 10, 3, 11), LIST(4, 12, 5, 13, 6, 14, 7, 15))
TRANSPOSE(32, uint32_t, LIST(0, 4, 1, 5), LIST(2, 6, 3, 7))
TRANSPOSE(64, uint64_t, LIST(0, 2), LIST(1, 3))
#define MT_TRANSPOSES                                                                              \
    {[1] = transpose_8, [2] = transpose_16, [4] = transpose_32, [8] = transpose_64}
