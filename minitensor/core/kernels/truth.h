/* The search for an element that is zero or is not, for any and all.  Of a float, the sign does not
 * count.  The search ends with the block that has such an element. */
#define FIND_TRUTH(name, U)                                                                        \
    static bool name(const void *x, int64_t n, U mask, bool wanted) {                              \
        enum { BLOCK = 1024 };                                                                     \
        const U *v = x;                                                                            \
        for (int64_t i = 0; i < n; i += BLOCK) {                                                   \
            int m = n - i < BLOCK ? (int)(n - i) : BLOCK;                                          \
            U found = 0;                                                                           \
            if (wanted)                                                                            \
                for (int j = 0; j < m; j++) found |= v[i + j] & mask;                              \
            else                                                                                   \
                for (int j = 0; j < m; j++) found |= (v[i + j] & mask) == 0;                       \
            if (found) return true;                                                                \
        }                                                                                          \
        return false;                                                                              \
    }
FIND_TRUTH(find_truth_1, uint8_t)
FIND_TRUTH(find_truth_2, uint16_t)
FIND_TRUTH(find_truth_4, uint32_t)
FIND_TRUTH(find_truth_8, uint64_t)

static bool find_truth(const void *x, int64_t n, int dtype, bool wanted) {
    bool sign = MT_KIND[dtype] == 'f';
    switch (MT_ITEMSIZE[dtype]) {
    case 1: return find_truth_1(x, n, UINT8_MAX, wanted);
    case 2: return find_truth_2(x, n, sign ? INT16_MAX : UINT16_MAX, wanted);
    case 4: return find_truth_4(x, n, sign ? INT32_MAX : UINT32_MAX, wanted);
    default: return find_truth_8(x, n, sign ? INT64_MAX : UINT64_MAX, wanted);
    }
}
