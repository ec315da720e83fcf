/* Casts between dtypes, and strided copies: the cut of their work into pieces.  The loops are in
 * casts.h and transpose.h.
 *
 * Dimensions are merged and ordered by the strides of the output, so that writes are sequential.
 * The innermost dimension is a line.  Where the input is densest along another dimension (a
 * transpose), the two dimensions form a plane, which is copied by blocks: the cache lines of
 * both sides that a block uses stay in the first-level cache.  Lines and planes are cut into
 * pieces for the threads (threadpool.c).
 *
 * A large output is stored past the cache (nontemporal.h).  A cast or a transpose first gathers
 * its elements in a tile.  A tile ends at the end of a cache line. */
#include "base/threadpool.h"
#include "kernels/isa.h"

mt_cast_fn mt_cast_find(int from, int to) {
    if (from < 0 || from >= MT_NUM_DTYPES || to < 0 || to >= MT_NUM_DTYPES) return NULL;
    const mt_loops *loops = mt_loops_of_machine();
    return from == to ? loops->copies[MT_ITEMSIZE[from]] : loops->casts[from][to];
}

bool mt_cast_supported(int from, int to) { return mt_cast_find(from, to) != NULL; }

/* Bytes of a cache line, of a tile (two of them fit into the first-level cache), of a row of a
 * block. */
enum { LINE = 64, TILE = 16384, RUN = 256 };
/* Bytes that a thread takes at once. */
enum { PIECE = 1 << 18 };

typedef struct {
    mt_cast_fn cast;
    bool same; /* both sides have the same dtype */
    /* Transpose for the size of the elements of the input; NULL: they are not dense along the
     * rows of a plane. */
    mt_transpose_fn transpose;
    void (*stream)(void *, const void *, size_t); /* NULL: stores go through the cache */
    /* ndim: all dimensions; inner: those of a line (1) or a plane (2). */
    int ndim, inner;
    int64_t length[MT_MAX_NDIM], to[MT_MAX_NDIM], from[MT_MAX_NDIM]; /* [0] is the innermost */
    int64_t size, in_size;                                           /* bytes of an element */
    int64_t columns, rows;                                           /* of a plane's block */
    /* Length of a piece along the outer dimension of a line or plane; pieces of each. */
    int64_t step, pieces;
    char *dst;
    const char *src;
} job;

/* Copies n elements of a line. */
static void copy_line(const job *c, char *dst, const char *src, int64_t from, int64_t n) {
    char tile[TILE] __attribute__((aligned(LINE)));
    if (!c->stream) {
        c->cast(dst, c->to[0], src, from, n);
    } else if (c->same && from == c->size) {
        c->stream(dst, src, (size_t)(n * c->size));
    } else {
        int64_t m = (int64_t)(-(uintptr_t)dst % LINE) / c->size;
        for (; n > 0; n -= m, dst += m * c->size, src += m * from, m = TILE / c->size) {
            if (m == 0) continue;
            if (m > n) m = n;
            c->cast(tile, c->size, src, from, m);
            c->stream(dst, tile, (size_t)(m * c->size));
        }
    }
}

/* Copies a block of a plane. */
static void copy_block(const job *c, char *dst, const char *src, int64_t rows, int64_t columns) {
    char turned[TILE] __attribute__((aligned(LINE)));
    int64_t row = c->from[1], step = c->from[0];
    if (c->transpose && c->same && !c->stream) {
        c->transpose(dst, c->to[1], src, step, rows, columns);
        return;
    }
    if (c->transpose) {
        row = columns * c->in_size;
        c->transpose(turned, row, src, step, rows, columns);
        src = turned, step = c->in_size;
    }
    for (int64_t k = 0; k < rows; k++)
        copy_line(c, dst + k * c->to[1], src + k * row, step, columns);
}

/* Copies the elements first to last of the outer dimension of a line or plane. */
static void copy_piece(const job *c, char *dst, const char *src, int64_t first, int64_t last) {
    int d = c->inner - 1;
    dst += first * c->to[d], src += first * c->from[d];
    if (d == 0) {
        copy_line(c, dst, src, c->from[0], last - first);
        return;
    }
    for (int64_t i = 0; i < last - first; i += c->rows)
        for (int64_t j = 0; j < c->length[0]; j += c->columns)
            copy_block(c, dst + i * c->to[1] + j * c->to[0], src + i * c->from[1] + j * c->from[0],
                       last - first - i < c->rows ? last - first - i : c->rows,
                       c->length[0] - j < c->columns ? c->length[0] - j : c->columns);
}

/* Copies the pieces [begin, end) of a job, for mt_parallel. */
static void copy_pieces(void *argument, int64_t begin, int64_t end) {
    const job *c = argument;
    int64_t index[MT_MAX_NDIM], piece = begin % c->pieces, rest = begin / c->pieces,
                                whole = c->length[c->inner - 1];
    char *dst = c->dst;
    const char *src = c->src;
    for (int d = c->inner; d < c->ndim; d++) {
        index[d] = rest % c->length[d], rest /= c->length[d];
        dst += index[d] * c->to[d], src += index[d] * c->from[d];
    }
    while (begin++ < end) {
        int64_t first = piece * c->step;
        copy_piece(c, dst, src, first, whole - first < c->step ? whole : first + c->step);
        if (++piece < c->pieces) continue;
        piece = 0;
        for (int d = c->inner; d < c->ndim; d++) {
            dst += c->to[d], src += c->from[d];
            if (++index[d] < c->length[d]) break;
            dst -= c->to[d] * c->length[d], src -= c->from[d] * c->length[d], index[d] = 0;
        }
    }
    if (c->stream) mt_stream_fence();
}

void mt_sort_dims(int n, int *order, const int64_t *strides) {
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0; j--) {
            int64_t a = strides[order[j - 1]], b = strides[order[j]];
            if ((a < 0 ? -a : a) >= (b < 0 ? -b : b)) break;
            int d = order[j];
            order[j] = order[j - 1], order[j - 1] = d;
        }
}

static int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }
static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Merges dimensions and orders them: the densest of the output first; then, in a plane, the
 * densest of the input. */
static void arrange(job *c, int ndim, const int64_t *shape, const mt_operand *out,
                    const mt_operand *in) {
    int order[MT_MAX_NDIM], n = 0;
    for (int d = 0; d < ndim; d++) order[d] = d;
    mt_sort_dims(ndim, order, out->strides);
    for (int k = ndim - 1; k >= 0; k--) {
        int d = order[k];
        if (shape[d] == 1) continue;
        if (n > 0 && out->strides[d] == c->to[n - 1] * c->length[n - 1] &&
            in->strides[d] == c->from[n - 1] * c->length[n - 1]) {
            c->length[n - 1] *= shape[d];
        } else {
            c->length[n] = shape[d], c->to[n] = out->strides[d], c->from[n] = in->strides[d];
            n++;
        }
    }
    if (n == 0) c->length[0] = 1, c->to[0] = c->size, c->from[0] = c->in_size, n = 1;
    int dense = 0;
    for (int d = 1; d < n; d++)
        if (c->from[d] != 0 && c->length[d] >= 8 &&
            (c->from[dense] == 0 || magnitude(c->from[d]) < magnitude(c->from[dense])))
            dense = d;
    c->ndim = n;
    c->inner = dense > 0 && c->from[0] != 0 ? 2 : 1;
    if (c->inner == 2 && dense > 1) {
        int64_t l = c->length[dense], t = c->to[dense], f = c->from[dense];
        for (int d = dense; d > 1; d--)
            c->length[d] = c->length[d - 1], c->to[d] = c->to[d - 1], c->from[d] = c->from[d - 1];
        c->length[1] = l, c->to[1] = t, c->from[1] = f;
    }
}

/* Returns true if all elements of an operand are one number. */
static bool one_number(int ndim, const int64_t *shape, const mt_operand *t) {
    bool one = true;
    for (int d = 0; d < ndim; d++) one &= shape[d] == 1 || t->strides[d] == 0;
    return one;
}

int mt_run_copy(int ndim, const int64_t *shape, const mt_operand *out, const mt_operand *in) {
    const mt_loops *loops = mt_loops_of_machine();
    job c = {.cast = mt_cast_find(in->dtype, out->dtype),
             .same = in->dtype == out->dtype,
             .dst = out->data,
             .src = in->data,
             .size = MT_ITEMSIZE[out->dtype],
             .in_size = MT_ITEMSIZE[in->dtype]};
    int64_t total = c.size, lines = (int64_t)(uintptr_t)out->data;
    if (!c.cast) return 1;
    for (int d = 0; d < ndim; d++) total *= shape[d];
    if (total == 0) return 0;
    mt_operand number = {.dtype = out->dtype};
    char cast[16] = {0};
    if (!c.same && one_number(ndim, shape, in)) { /* one cast is enough */
        c.cast(cast, 0, in->data, 0, 1);
        number.data = cast;
        return mt_run_copy(ndim, shape, out, &number);
    }
    arrange(&c, ndim, shape, out, in);
    for (int d = 1; d < c.ndim; d++) lines |= c.to[d];
    /* Rows of the output meet inside cache lines. */
    bool apart = lines % LINE != 0 && c.ndim > 1;
    if (total >= MT_PAST_THE_CACHE && c.to[0] == c.size &&
        (uintptr_t)c.dst % (uintptr_t)c.size == 0 &&
        (!apart || (c.inner == 1 && c.length[0] * c.size >= TILE)))
        c.stream = loops->stream;
    int64_t inner = c.length[0] * c.size;
    if (c.inner == 1) {
        c.step = PIECE / c.size;
    } else {
        if (c.from[1] == c.in_size && c.to[0] == c.size) c.transpose = loops->transposes[c.in_size];
        c.columns = RUN / c.size;
        c.step = c.rows = TILE / (c.columns * larger(c.size, c.in_size));
        inner *= c.length[1];
    }
    int64_t whole = c.length[c.inner - 1], bytes = inner / whole * c.step;
    c.pieces = (whole + c.step - 1) / c.step;
    int64_t grain = PIECE / (c.pieces > 1 ? bytes : inner);
    mt_parallel(total / inner * c.pieces, grain > 0 ? grain : 1, copy_pieces, &c);
    return 0;
}
