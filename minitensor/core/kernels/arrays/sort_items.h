/* Sorting of items, a key and a position each: included by sort.h for keys of 32 and of 64 bits,
 * with KEY, ITEM, N(name), and the macros item(key, index), key_of(item), index_of(item) and
 * before(item, item) and chosen(first, item, item), the first one or the other
 * without a branch.  Positions differ, so the order of items is total, and a sort that follows it
 * keeps equal keys in their order. */

/* Inserts each of a few items at its place. */
static void N(insert)(ITEM *x, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        ITEM one = x[i];
        int64_t j = i;
        for (; j > 0 && before(one, x[j - 1]); j--) x[j] = x[j - 1];
        x[j] = one;
    }
}

/* Sorts n items that lie in the order of their positions, by their digits from the last to the
 * first, with room for as many in y; `varies`: the bits in which keys differ.  They end in x. */
static void N(sort_run)(ITEM *x, ITEM *y, int64_t n, KEY varies) {
    enum { PLACES = 8 * sizeof(KEY) / DIGIT_BITS };
    if (n <= FEW_ITEMS) {
        N(insert)(x, n);
        return;
    }
    uint32_t count[PLACES][DIGITS] = {{0}};
    for (int64_t i = 0; i < n; i++)
        for (int d = 0; d < (int)PLACES; d++)
            count[d][key_of(x[i]) >> (d * DIGIT_BITS) & (DIGITS - 1)]++;
    ITEM *from = x, *to = y;
    for (int d = 0; d < (int)PLACES; d++) {
        int shift = d * DIGIT_BITS;
        if (!(varies >> shift & (DIGITS - 1))) continue;
        uint32_t *next = count[d], place = 0;
        for (int digit = 0; digit < DIGITS; digit++) {
            uint32_t here = next[digit];
            next[digit] = place;
            place += here;
        }
        for (int64_t i = 0; i < n; i++)
            to[next[key_of(from[i]) >> shift & (DIGITS - 1)]++] = from[i];
        ITEM *other = from;
        from = to, to = other;
    }
    if (from != x) memcpy(x, from, (size_t)n * sizeof *x);
}

typedef struct {
    ITEM *x, *y;
    int64_t n, length; /* of the runs in x */
    KEY varies;
} N(run_sort);

static void N(sort_runs)(void *job, int64_t begin, int64_t end) {
    const N(run_sort) *s = job;
    for (int64_t i = begin * RUN; i < end * RUN && i < s->n; i += RUN)
        N(sort_run)(s->x + i, s->y + i, i + RUN < s->n ? RUN : s->n - i, s->varies);
}

/* Returns how many of the first `at` items of two merged runs are from the first. */
static int64_t N(split)(const ITEM *a, int64_t n, const ITEM *b, int64_t m, int64_t at) {
    int64_t low = at > m ? at - m : 0, high = at < n ? at : n;
    while (low < high) {
        int64_t i = low + (high - low) / 2;
        if (before(a[i], b[at - i - 1])) low = i + 1;
        else high = i;
    }
    return low;
}

/* Merges pairs of runs of x to y, in the pieces [begin, end) of RUN items of y. */
static void N(merge_runs)(void *job, int64_t begin, int64_t end) {
    const N(run_sort) *s = job;
    for (int64_t piece = begin; piece < end; piece++) {
        int64_t pair = piece * RUN / (2 * s->length) * (2 * s->length), rest = s->n - pair;
        int64_t n = rest < s->length ? rest : s->length,
                m = rest - n < s->length ? rest - n : s->length;
        const ITEM *a = s->x + pair, *b = a + n;
        int64_t from = piece * RUN - pair, to = from + RUN < n + m ? from + RUN : n + m;
        int64_t i = N(split)(a, n, b, m, from), j = from - i, i_end = N(split)(a, n, b, m, to),
                j_end = to - i_end;
        ITEM *out = s->y + pair + from;
        while (i < i_end && j < j_end) {
            ITEM one = a[i], other = b[j];
            bool first = before(one, other);
            *out++ = chosen(first, one, other);
            i += first, j += !first;
        }
        memcpy(out, a + i, (size_t)(i_end - i) * sizeof *out);
        memcpy(out + (i_end - i), b + j, (size_t)(j_end - j) * sizeof *out);
    }
}

/* Sorts n items that lie in the order of their positions, with room for as many in y.  Returns x or
 * y, where they are then. */
static ITEM *N(sort_items)(ITEM *x, ITEM *y, int64_t n, KEY varies) {
    N(run_sort) s = {x, y, n, RUN, varies};
    int64_t pieces = (n + RUN - 1) / RUN;
    mt_parallel(pieces, 1, N(sort_runs), &s);
    for (; s.length < n; s.length *= 2) {
        mt_parallel(pieces, 1, N(merge_runs), &s);
        ITEM *other = s.x;
        s.x = s.y, s.y = other;
    }
    return s.x;
}

/* Makes items of keys; returns the bits in which they differ from `first`. */
static KEY N(make_items)(ITEM *x, const KEY *keys, int64_t n, int64_t position, KEY first) {
    KEY varies = 0;
    for (int64_t i = 0; i < n; i++) {
        x[i] = item(keys[i], position + i);
        varies |= keys[i] ^ first;
    }
    return varies;
}

/* Reads items [begin, end) of a row.  Returns the bits in which they differ from `first`. */
static KEY N(read_items)(const sort_row *r, int64_t begin, int64_t end, ITEM *x, KEY first) {
    KEY keys[MT_TILE], varies = 0;
    for (int64_t i = begin; i < end; i += MT_TILE) {
        int64_t n = i + MT_TILE < end ? MT_TILE : end - i;
        r->keys(keys, r->data + i * r->stride, r->stride, n, r->flip);
        varies |= N(make_items)(x + (i - begin), keys, n, i, first);
    }
    return varies;
}

typedef struct {
    const sort_row *row;
    ITEM *x;
    int64_t block;
    KEY first, varies[BLOCKS];
} N(reading);

static void N(read_blocks)(void *job, int64_t begin, int64_t end) {
    N(reading) *g = job;
    for (int64_t b = begin; b < end; b++) {
        int64_t from = b * g->block, to = from + g->block < g->row->n ? from + g->block : g->row->n;
        g->varies[b] = from < to ? N(read_items)(g->row, from, to, g->x + from, g->first) : 0;
    }
}

/* Sorts a row; x has room for twice its items.  Returns where they are. */
static ITEM *N(sort_row)(const sort_row *r, ITEM *x) {
    int64_t blocks = r->n < SHARED ? 1 : BLOCKS;
    N(reading) g = {.row = r, .x = x, .block = (r->n + blocks - 1) / blocks};
    r->keys(&g.first, r->data, r->stride, 1, r->flip);
    mt_parallel(blocks, 1, N(read_blocks), &g);
    KEY varies = 0;
    for (int64_t b = 0; b < blocks; b++) varies |= g.varies[b];
    return N(sort_items)(x, x + r->n, r->n, varies);
}

/* Keeps the first k of n items, in order; x has room for twice as many. */
static void N(keep)(ITEM *x, int64_t n, int64_t k) {
    KEY varies = 0;
    for (int64_t i = 1; i < n; i++) varies |= key_of(x[i]) ^ key_of(x[0]);
    ITEM *sorted = N(sort_items)(x, x + n, n, varies);
    if (sorted != x) memcpy(x, sorted, (size_t)(k < n ? k : n) * sizeof *x);
}

/* Finds the first k items of [begin, end) of a row, in order; x has room for 2 * (k + MT_TILE +
 * room) items.  Returns how many there are. */
static int64_t N(first_items)(const sort_row *r, int64_t begin, int64_t end, int64_t k, ITEM *x,
                              int64_t room) {
    KEY keys[MT_TILE], bound = (KEY)-1;
    int64_t n = 0, limit = k + room;
    for (int64_t i = begin; i < end; i += MT_TILE) {
        int64_t size = i + MT_TILE < end ? MT_TILE : end - i;
        r->keys(keys, r->data + i * r->stride, r->stride, size, r->flip);
        KEY least = (KEY)-1;
        for (int64_t j = 0; j < size; j++) least = keys[j] < least ? keys[j] : least;
        if (n >= k && least >= bound) continue; /* equal ones come after those that are kept */
        for (int64_t j = 0; j < size; j++) {
            x[n] = item(keys[j], i + j);
            n += keys[j] < bound || n < k;
        }
        if (n < limit) continue;
        N(keep)(x, n, k);
        n = k;
        bound = key_of(x[k - 1]);
    }
    N(keep)(x, n, k);
    return n < k ? n : k;
}

typedef struct {
    const sort_row *row;
    int64_t k, block, room;
    ITEM *x;
    int64_t found[BLOCKS];
} N(choosing);

static void N(choose_blocks)(void *job, int64_t begin, int64_t end) {
    N(choosing) *c = job;
    for (int64_t b = begin; b < end; b++) {
        int64_t from = b * c->block, to = from + c->block < c->row->n ? from + c->block : c->row->n;
        ITEM *x = c->x + b * 2 * (c->k + MT_TILE + c->room);
        c->found[b] = from < to ? N(first_items)(c->row, from, to, c->k, x, c->room) : 0;
    }
}

/* Finds the first k items of a row; returns a pointer to memory at *memory, which the caller frees;
 * NULL: no memory. */
static ITEM *N(choose)(const sort_row *r, int64_t k, void **memory) {
    int64_t room = k < MT_TILE ? MT_TILE : k, each = 2 * (k + MT_TILE + room);
    bool all = 4 * k > r->n;
    int64_t blocks = r->n < SHARED || BLOCKS * each > r->n ? 1 : BLOCKS;
    ITEM *x = *memory = malloc((size_t)(all ? 2 * r->n : blocks * each) * sizeof *x);
    if (!x || all) return x ? N(sort_row)(r, x) : NULL;
    N(choosing) c = {.row = r, .k = k, .block = (r->n + blocks - 1) / blocks, .room = room, .x = x};
    mt_parallel(blocks, 1, N(choose_blocks), &c);
    int64_t n = c.found[0];
    for (int64_t b = 1; b < blocks; b++) {
        memmove(x + n, x + b * each, (size_t)c.found[b] * sizeof *x);
        n += c.found[b];
    }
    if (blocks > 1) N(keep)(x, n, k);
    return x;
}

/* Returns the item at a rank of a row.  x has room for twice its items. */
static ITEM N(at_rank)(const sort_row *r, int64_t rank, ITEM *x) {
    enum { TOP = 11, SHIFT = 8 * sizeof(KEY) - TOP };
    int64_t count[1 << TOP] = {0}, n = 0;
    KEY keys[MT_TILE];
    if (r->n <= 1 << TOP) return N(sort_row)(r, x)[rank];
    for (int64_t i = 0; i < r->n; i += MT_TILE) {
        int64_t size = i + MT_TILE < r->n ? MT_TILE : r->n - i;
        r->keys(keys, r->data + i * r->stride, r->stride, size, r->flip);
        for (int64_t j = 0; j < size; j++) count[keys[j] >> SHIFT]++;
    }
    KEY top = 0;
    while (rank >= count[top]) rank -= count[top++];
    for (int64_t i = 0; i < r->n; i += MT_TILE) {
        int64_t size = i + MT_TILE < r->n ? MT_TILE : r->n - i;
        r->keys(keys, r->data + i * r->stride, r->stride, size, r->flip);
        for (int64_t j = 0; j < size; j++) {
            x[n] = item(keys[j], i + j);
            n += keys[j] >> SHIFT == top;
        }
    }
    KEY varies = 0;
    for (int64_t i = 1; i < n; i++) varies |= key_of(x[i]) ^ key_of(x[0]);
    return N(sort_items)(x, x + n, n, varies)[rank];
}
