/* Keys: an element as an unsigned number with the same order (NaN is the greatest, -0 equals 0).
 * Included by sort.h. */

/* Defines the key of a float by its bits, without a branch; `infinity`: the bits of infinity. */
#define KEY_OF_FLOAT(name, KEY, infinity)                                                          \
    static inline KEY name(KEY bits) {                                                             \
        const KEY sign = (KEY)1 << (8 * sizeof(KEY) - 1), size = bits & (KEY)~sign;                \
        KEY number = bits & (KEY) - (KEY)(size != 0);                                              \
        number ^= (KEY)((KEY) - (KEY)(number >> (8 * sizeof(KEY) - 1)) | sign);                    \
        return number | (KEY) - (KEY)(size > (infinity));                                          \
    }
KEY_OF_FLOAT(key_f16, uint16_t, 0x7c00)
KEY_OF_FLOAT(key_bf16, uint16_t, 0x7f80)
KEY_OF_FLOAT(key_f32, uint32_t, UINT32_C(0x7f800000))
KEY_OF_FLOAT(key_f64, uint64_t, UINT64_C(0x7ff) << 52)
#undef KEY_OF_FLOAT

/* Searches of values at a time: their steps do not wait for each other's memory. */
enum { SEARCHES = 16 };

/* What is known of a dtype. */
typedef struct {
    /* Writes the keys of n elements. */
    void (*keys)(uint64_t *keys, const char *x, int64_t stride, int64_t n);
    /* Finds the least and the greatest key of n elements, at least one. */
    void (*range)(const char *x, int64_t stride, int64_t n, uint64_t *least, uint64_t *greatest);
    /* Finds how many of n elements in order are before each of SEARCHES keys, or with `right` not
     * after it. */
    void (*search)(const char *x, int64_t stride, int64_t n, const uint64_t *keys, bool right,
                   int64_t *found);
    uint64_t nan; /* the key of NaN; 0: there is none */
} sort_order;

#define EACH(T, step)                                                                              \
    if (stride == sizeof(T))                                                                       \
        for (int64_t i = 0; i < n; i++) {                                                          \
            memcpy(&one, x + i * (int64_t)sizeof(T), sizeof one);                                  \
            step;                                                                                  \
        }                                                                                          \
    else                                                                                           \
        for (int64_t i = 0; i < n; i++) {                                                          \
            memcpy(&one, x + i * stride, sizeof one);                                              \
            step;                                                                                  \
        }
#define ORDER(name, T, KEY, expression)                                                            \
    static inline KEY key_##name(T x) { return (KEY)(expression); }                                \
    static void keys_##name(uint64_t *keys, const char *x, int64_t stride, int64_t n) {            \
        T one;                                                                                     \
        EACH(T, keys[i] = key_##name(one))                                                         \
    }                                                                                              \
    static void range_##name(const char *x, int64_t stride, int64_t n, uint64_t *least,            \
                             uint64_t *greatest) {                                                 \
        T one;                                                                                     \
        KEY low = (KEY) - 1, high = 0;                                                             \
        EACH(T, KEY key = key_##name(one); low = key < low ? key : low;                            \
             high = key > high ? key : high)                                                       \
        *least = low, *greatest = high;                                                            \
    }                                                                                              \
    typedef T loose_##name __attribute__((aligned(1), may_alias));                                 \
    static void search_##name(const char *x, int64_t stride, int64_t n, const uint64_t *keys,      \
                              bool right, int64_t *found) {                                        \
        const loose_##name *v = (const loose_##name *)x;                                           \
        const int64_t step = stride / (int64_t)sizeof(T);                                          \
        int64_t at[SEARCHES] = {0};                                                                \
        KEY wanted[SEARCHES];                                                                      \
        for (int j = 0; j < SEARCHES; j++) wanted[j] = (KEY)keys[j];                               \
        if (right) SEARCH(key_##name, !(wanted[j] < other))                                        \
        else SEARCH(key_##name, other < wanted[j])                                                 \
        memcpy(found, at, sizeof at);                                                              \
    }
/* Halves what is left of each search; strides are multiples of the size. */
#define SEARCH(key_of, taken)                                                                      \
    for (int64_t half; n > 0; n -= half) {                                                         \
        half = (n + 1) / 2;                                                                        \
        for (int j = 0; j < SEARCHES; j++) {                                                       \
            uint64_t other = key_of(v[(at[j] + half - 1) * step]);                                 \
            at[j] += half & -(int64_t)(taken);                                                     \
        }                                                                                          \
    }
ORDER(bool, uint8_t, uint8_t, x != 0)
ORDER(int8, int8_t, uint8_t, x + 128)
ORDER(int16, int16_t, uint16_t, x + 32768)
ORDER(int32, int32_t, uint32_t, (uint32_t)x ^ UINT32_C(1) << 31)
ORDER(int64, int64_t, uint64_t, (uint64_t)x ^ UINT64_C(1) << 63)
ORDER(uint8, uint8_t, uint8_t, x)
ORDER(uint16, uint16_t, uint16_t, x)
ORDER(uint32, uint32_t, uint32_t, x)
ORDER(uint64, uint64_t, uint64_t, x)
ORDER(float16, uint16_t, uint16_t, key_f16(x))
ORDER(bfloat16, uint16_t, uint16_t, key_bf16(x))
ORDER(float32, uint32_t, uint32_t, key_f32(x))
ORDER(float64, uint64_t, uint64_t, key_f64(x))
#undef ORDER
#undef EACH

static const sort_order ORDERS[MT_NUM_DTYPES] = {
#define ORDER(name, nan) [MT_DT_##name] = {keys_##name, range_##name, search_##name, nan},
    ORDER(bool, 0) ORDER(int8, 0) ORDER(int16, 0) ORDER(int32, 0) ORDER(int64, 0) ORDER(uint8, 0)
        ORDER(uint16, 0) ORDER(uint32, 0) ORDER(uint64, 0) ORDER(float16, UINT16_MAX)
            ORDER(bfloat16, UINT16_MAX) ORDER(float32, UINT32_MAX) ORDER(float64, UINT64_MAX)
#undef ORDER
};
