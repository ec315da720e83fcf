/* Sorting of items, from elements to positions in order.  Included by sort.h, which explains it. */

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, KEY_BITS = 3 * DIGIT_BITS };
enum { FEW_ITEMS = 40, FEW_EQUAL = 16, BLOCKS = 16 };
enum { SHARED = 1 << 16, BLOCK = 1 << 15 }; /* elements: of a row that threads share, of a block */

/* One row: n elements along the axis. */
typedef struct {
    const char *data;
    int64_t n, stride;
    const sort_order *order;
    bool flip; /* descending */
} sort_row;

/* Items in order: the position stands in the last `bits` of each. */
typedef struct {
    uint64_t *items;
    int bits;
    bool exact; /* the rest is as different as the keys are */
} sorted_items;

typedef struct {
    const sort_row *row;
    uint64_t *x, *y, least[BLOCKS], greatest[BLOCKS];
    int64_t n, block;
    int bits, shift, at, width; /* of the position; of the key; the digit */
    uint32_t *count;            /* of each block, and digit */
} sorting;

/* Returns how many bits a number has. */
static inline int bits_of(uint64_t x) { return x ? 64 - __builtin_clzll(x) : 0; }

static inline int64_t place_of(const sorted_items *s, int64_t i) {
    return (int64_t)(s->items[i] & ((UINT64_C(1) << s->bits) - 1));
}

/* Returns the key of an element, in the row's direction. */
static inline uint64_t key_at(const sort_row *r, int64_t i) {
    uint64_t key;
    r->order->keys(&key, r->data + i * r->stride, r->stride, 1);
    return r->flip ? ~key : key;
}

/* Finds the least and the greatest key of [begin, end) of a row, in its direction. */
static void range_of(const sort_row *r, int64_t begin, int64_t end, uint64_t *least,
                     uint64_t *greatest) {
    uint64_t low, high;
    r->order->range(r->data + begin * r->stride, r->stride, end - begin, &low, &high);
    *least = r->flip ? ~high : low, *greatest = r->flip ? ~low : high;
}

#define EACH_BLOCK(s, b, from, to)                                                                 \
    for (int64_t b = begin, from, to;                                                              \
         b < end &&                                                                                \
         (from = b * s->block, to = from + s->block < s->n ? from + s->block : s->n, true);        \
         b++)

static void find_ranges(void *job, int64_t begin, int64_t end) {
    sorting *s = job;
    EACH_BLOCK(s, b, from, to) range_of(s->row, from, to, &s->least[b], &s->greatest[b]);
}

static void make_items(void *job, int64_t begin, int64_t end) {
    const sorting *s = job;
    const sort_row *r = s->row;
    uint64_t keys[MT_TILE], mask = r->flip ? UINT64_MAX : 0, least = s->least[0];
    EACH_BLOCK(s, b, from, to)
    for (int64_t i = from, n; i < to; i += n) {
        n = to - i < MT_TILE ? to - i : MT_TILE;
        r->order->keys(keys, r->data + i * r->stride, r->stride, n);
        for (int64_t j = 0; j < n; j++)
            s->x[i + j] = ((keys[j] ^ mask) - least) >> s->shift << s->bits | (uint64_t)(i + j);
    }
}

static void count_digits(void *job, int64_t begin, int64_t end) {
    const sorting *s = job;
    uint64_t mask = (UINT64_C(1) << s->width) - 1;
    EACH_BLOCK(s, b, from, to) {
        uint32_t *count = memset(s->count + b * DIGITS, 0, (mask + 1) * sizeof *count);
        for (int64_t i = from; i < to; i++) count[s->x[i] >> s->at & mask]++;
    }
}

static void move_items(void *job, int64_t begin, int64_t end) {
    const sorting *s = job;
    uint64_t mask = (UINT64_C(1) << s->width) - 1, *y = s->y;
    EACH_BLOCK(s, b, from, to) {
        uint32_t *next = s->count + b * DIGITS;
        for (int64_t i = from; i < to; i++) y[next[s->x[i] >> s->at & mask]++] = s->x[i];
    }
}

/* Moves the items to the places of their digits; then count[last block][digit] is where the next
 * digit begins. */
static void sort_by_digit(sorting *s, int64_t blocks) {
    mt_parallel(blocks, 1, count_digits, s);
    uint32_t place = 0;
    for (int64_t digit = 0; digit < INT64_C(1) << s->width; digit++)
        for (int64_t b = 0; b < blocks; b++) {
            uint32_t here = s->count[b * DIGITS + digit];
            s->count[b * DIGITS + digit] = place;
            place += here;
        }
    mt_parallel(blocks, 1, move_items, s);
    uint64_t *other = s->x;
    s->x = s->y, s->y = other;
}

#if MT_VECTOR == 64
#include "kernels/arrays/sort_vectors.h"
/* Sorts what has one of the digits [begin, end). */
static void sort_parts(void *job, int64_t begin, int64_t end) {
    const sorting *s = job;
    const uint32_t *ends = s->count + ((s->n + s->block - 1) / s->block - 1) * DIGITS;
    for (int64_t digit = begin; digit < end; digit++) {
        int64_t from = digit ? ends[digit - 1] : 0, n = ends[digit] - from;
        sort_vectors(s->x + from, s->y + from + digit * LANES, n, 2 * bits_of((uint64_t)n));
    }
}

/* Sorts by `bits` bits above the positions: by the first digit, then the items of each. */
static void sort_bits(sorting *s, int bits, int64_t blocks) {
    if (!bits) return;
    if (s->n < SHARED) {
        sort_vectors(s->x, s->y, s->n, 2 * bits_of((uint64_t)s->n));
        return;
    }
    s->width = bits < DIGIT_BITS ? bits : DIGIT_BITS;
    s->at = s->bits + bits - s->width;
    sort_by_digit(s, blocks);
    if (bits > s->width) mt_parallel(INT64_C(1) << s->width, 64, sort_parts, s);
}
#else
enum { LANES = 0 };
/* Inserts each of a few items at its place. */
static void insert_items(uint64_t *x, int64_t n) {
    for (int64_t i = 1; i < n; i++) {
        uint64_t one = x[i];
        int64_t j = i;
        for (; j > 0 && one < x[j - 1]; j--) x[j] = x[j - 1];
        x[j] = one;
    }
}

/* Sorts by `bits` bits above the positions, by one digit after the other from the last one on. */
static void sort_bits(sorting *s, int bits, int64_t blocks) {
    int most = bits_of((uint64_t)s->n);
    if (s->n <= FEW_ITEMS) {
        insert_items(s->x, s->n);
        return;
    }
    most = most < 8 ? 8 : most > DIGIT_BITS ? DIGIT_BITS : most;
    int passes = (bits + most - 1) / most;
    for (s->at = s->bits; passes > 0; passes--, s->at += s->width) {
        s->width = (bits - (s->at - s->bits) + passes - 1) / passes;
        sort_by_digit(s, blocks);
    }
}
#endif

static int sort_row_of(const sort_row *r, uint64_t *x, sorted_items *sorted);

/* Returns the words of n items, and of those behind them that a vector may write over. */
static size_t items_of(int64_t n) { return (size_t)n + LANES * (n < SHARED ? 1 : DIGITS); }
/* Returns the words that sort_row_of needs for n items. */
static size_t room_of(int64_t n) {
    return 2 * items_of(n) + (n < SHARED ? 0 : BLOCKS * DIGITS / 2);
}

/* Sorts items whose keys have the same first bits by the whole keys.  Returns a status. */
static int sort_group(const sort_row *r, uint64_t *x, int64_t n, int bits) {
    uint64_t few[FEW_EQUAL], mask = (UINT64_C(1) << bits) - 1, *keys = few;
    if (n > FEW_EQUAL) keys = malloc(((size_t)n + room_of(n)) * sizeof *keys);
    if (!keys) return MT_MEMORY_ERROR;
    for (int64_t i = 0; i < n; i++) keys[i] = key_at(r, (int64_t)(x[i] & mask));
    if (n <= FEW_EQUAL) {
        for (int64_t i = 1, j; i < n; i++) {
            uint64_t key = keys[i], one = x[i];
            for (j = i; j > 0 && key < keys[j - 1]; j--) keys[j] = keys[j - 1], x[j] = x[j - 1];
            keys[j] = key, x[j] = one;
        }
        return MT_OK;
    }
    sort_row rest = {(const char *)keys, n, sizeof *keys, &ORDERS[MT_DT_uint64], false};
    sorted_items order;
    int status = sort_row_of(&rest, keys + n, &order);
    if (status == MT_OK) {
        memcpy(keys, x, (size_t)n * sizeof *x);
        for (int64_t i = 0; i < n; i++) x[i] = keys[place_of(&order, i)];
    }
    free(keys);
    return status;
}

static int sort_groups(const sort_row *r, uint64_t *x, int64_t n, int bits) {
    int status = MT_OK;
    for (int64_t i = 0, end; i < n && status == MT_OK; i = end) {
        for (end = i + 1; end < n && x[end] >> bits == x[i] >> bits;) end++;
        if (end > i + 1) status = sort_group(r, x + i, end - i, bits);
    }
    return status;
}

/* Sorts a row; x has room_of(n) words.  Returns a status. */
static int sort_row_of(const sort_row *r, uint64_t *x, sorted_items *sorted) {
    int64_t n = r->n, blocks = n < SHARED ? 1 : n / BLOCK < BLOCKS ? n / BLOCK : BLOCKS;
    uint32_t few[DIGITS];
    sorting s = {
        .row = r, .x = x, .y = x + items_of(n), .n = n, .block = (n + blocks - 1) / blocks};
    s.bits = bits_of((uint64_t)n - 1);
    s.count = blocks > 1 ? (uint32_t *)(x + 2 * items_of(n)) : few;
    mt_parallel(blocks, 1, find_ranges, &s);
    uint64_t greatest = s.greatest[0];
    for (int64_t b = 1; b < blocks; b++) {
        s.least[0] = s.least[b] < s.least[0] ? s.least[b] : s.least[0];
        greatest = s.greatest[b] > greatest ? s.greatest[b] : greatest;
    }
    int varying = bits_of(greatest - s.least[0]), kept = 2 * s.bits < 16 ? 16 : 2 * s.bits;
    kept = n <= FEW_ITEMS || kept > KEY_BITS ? KEY_BITS : kept;
    kept = kept > 64 - s.bits ? 64 - s.bits : kept;
    s.shift = varying > kept ? varying - kept : 0;
    mt_parallel(blocks, 1, make_items, &s);
    sort_bits(&s, varying - s.shift, blocks);
    *sorted = (sorted_items){s.x, s.bits, !s.shift};
    return s.shift ? sort_groups(r, s.x, n, s.bits) : MT_OK;
}

/* --- choosing --------------------------------------------------------------------------------- */

enum { RANK_SORTED = 128, RANK_BITS = 8 }; /* rows that are sorted; the digit of other short ones */

/* An element: its key, in the row's direction, and its position. */
typedef struct {
    uint64_t key;
    int64_t place;
} chosen;

/* Finds the element at a rank of a row.  Returns a status. */
static int at_rank(const sort_row *r, int64_t rank, chosen *found) {
    uint64_t keys[MT_TILE], mask = r->flip ? UINT64_MAX : 0, least, greatest,
                            few[2 * (RANK_SORTED + LANES)];
    if (r->n <= RANK_SORTED) {
        sorted_items order;
        int status = sort_row_of(r, few, &order);
        if (status == MT_OK) found->place = place_of(&order, rank);
        if (status == MT_OK) found->key = key_at(r, found->place);
        return status;
    }
    range_of(r, 0, r->n, &least, &greatest);
    int digit_bits = r->n <= DIGITS ? RANK_BITS : DIGIT_BITS, varying = bits_of(greatest - least),
        shift = varying < digit_bits ? 0 : varying - digit_bits;
    if (!varying) {
        *found = (chosen){least, rank};
        return MT_OK;
    }
    uint32_t count[2][DIGITS];
    for (int i = 0; i < 2; i++) memset(count[i], 0, sizeof **count << digit_bits);
    for (int64_t i = 0, n; i < r->n; i += n) {
        n = r->n - i < MT_TILE ? r->n - i : MT_TILE;
        r->order->keys(keys, r->data + i * r->stride, r->stride, n);
        for (int64_t j = 0; j < n; j++) count[j & 1][((keys[j] ^ mask) - least) >> shift]++;
    }
    uint64_t digit = 0;
    for (int64_t here; rank >= (here = (int64_t)count[0][digit] + count[1][digit]); digit++)
        rank -= here;
    int64_t m = (int64_t)count[0][digit] + count[1][digit], at = 0;
    uint64_t *some = m < RANK_SORTED ? few : malloc(2 * ((size_t)m + 1) * sizeof *some);
    if (!some) return MT_MEMORY_ERROR;
    uint64_t *places = some + m + 1;
    for (int64_t i = 0, n; i < r->n && at < m; i += n) {
        n = r->n - i < MT_TILE ? r->n - i : MT_TILE;
        r->order->keys(keys, r->data + i * r->stride, r->stride, n);
        for (int64_t j = 0; j < n; j++) {
            some[at] = keys[j] ^ mask, places[at] = (uint64_t)(i + j);
            at += (some[at] - least) >> shift == digit;
            if (at == m) break;
        }
    }
    sort_row rest = {(const char *)some, m, sizeof *some, &ORDERS[MT_DT_uint64], false};
    int status = at_rank(&rest, rank, found);
    if (status == MT_OK) found->place = (int64_t)places[found->place];
    if (some != few) free(some);
    return status;
}

enum { FEW_CHOSEN = 16, CHOICE = 64 };

typedef struct {
    const sort_row *row;
    int64_t k, block;
    chosen best[BLOCKS][FEW_CHOSEN];
} choosing;

/* Finds the first k elements of a block of a row, in order. */
static void choose_block(const sort_row *r, int64_t begin, int64_t end, int64_t k, chosen *best) {
    uint64_t keys[CHOICE], mask = r->flip ? UINT64_MAX : 0, least, greatest;
    int64_t found = 0;
    for (int64_t i = begin, n; i < end; i += n) {
        n = end - i < CHOICE ? end - i : CHOICE;
        if (found == k) {
            range_of(r, i, i + n, &least, &greatest);
            if (least >= best[k - 1].key) continue; /* equal ones come after those that are kept */
        }
        r->order->keys(keys, r->data + i * r->stride, r->stride, n);
        for (int64_t j = 0, at; j < n; j++) {
            uint64_t key = keys[j] ^ mask;
            if (found == k && key >= best[k - 1].key) continue;
            found += found < k;
            for (at = found - 1; at > 0 && key < best[at - 1].key; at--) best[at] = best[at - 1];
            best[at] = (chosen){key, i + j};
        }
    }
}

static void choose_blocks(void *job, int64_t begin, int64_t end) {
    choosing *c = job;
    for (int64_t b = begin, from; b < end; b++) {
        from = b * c->block;
        int64_t to = from + c->block < c->row->n ? from + c->block : c->row->n;
        choose_block(c->row, from, to, c->k, c->best[b]);
    }
}

/* Finds the first k elements of a row, as positions in order: few of them. */
static void choose_few(const sort_row *r, int64_t k, uint64_t *places) {
    int64_t blocks = r->n < SHARED ? 1 : r->n / BLOCK < BLOCKS ? r->n / BLOCK : BLOCKS;
    choosing c = {.row = r, .k = k, .block = (r->n + blocks - 1) / blocks};
    mt_parallel(blocks, 1, choose_blocks, &c);
    int64_t next[BLOCKS] = {0};
    for (int64_t i = 0; i < k; i++) {
        int64_t first = 0;
        for (int64_t b = 1; b < blocks; b++)
            if (next[b] < k &&
                (next[first] == k || c.best[b][next[b]].key < c.best[first][next[first]].key))
                first = b;
        places[i] = (uint64_t)c.best[first][next[first]++].place;
    }
}

/* The same, of many; the memory at *places has room for k + room_of(k) more words. */
static int choose_many(const sort_row *r, int64_t k, uint64_t *places) {
    uint64_t keys[MT_TILE], mask = r->flip ? UINT64_MAX : 0, *x = places + k;
    chosen last;
    int64_t at = 0;
    int status = at_rank(r, k - 1, &last);
    uint64_t *some = x; /* keys, then the items */
    for (int64_t i = 0, n; i < r->n && at < k && status == MT_OK; i += n) {
        n = r->n - i < MT_TILE ? r->n - i : MT_TILE;
        r->order->keys(keys, r->data + i * r->stride, r->stride, n);
        for (int64_t j = 0; j < n && at < k; j++) {
            some[at] = keys[j] ^ mask, places[at] = (uint64_t)(i + j);
            at += (some[at] < last.key) | ((some[at] == last.key) & (i + j <= last.place));
        }
    }
    sort_row rest = {(const char *)some, k, sizeof *some, &ORDERS[MT_DT_uint64], false};
    sorted_items order;
    if (status == MT_OK) status = sort_row_of(&rest, x + k, &order);
    for (int64_t i = 0; i < k && status == MT_OK; i++) some[i] = places[place_of(&order, i)];
    if (status == MT_OK) memcpy(places, some, (size_t)k * sizeof *places);
    return status;
}
