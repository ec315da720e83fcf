/* The number of a tensor of one element. */
#include "api/create.h"
#include "executor/submit.h"

#define READ(DTYPE, T, field)                                                                      \
    case DTYPE: {                                                                                  \
        T value;                                                                                   \
        memcpy(&value, data, sizeof value);                                                        \
        number.field = value;                                                                      \
        break;                                                                                     \
    }

mt_number mt_item_now(mt_ref ref) {
    const mt_tensor *t = mt_t(ref);
    mt_number number = {.kind = MT_KIND[t->dtype]};
    char data[16];
    if (t->size != 1 || MT_COMPUTE[t->dtype] < 0 ||
        !(mt_devices[t->device].flags & MT_DEVICE_NATIVE) ||
        !mt_read_now(t, data, MT_ITEMSIZE[t->dtype]))
        return (mt_number){.kind = 0};
    switch (t->dtype) {
        READ(MT_DT_bool, uint8_t, i)
        READ(MT_DT_int8, int8_t, i)
        READ(MT_DT_int16, int16_t, i)
        READ(MT_DT_int32, int32_t, i)
        READ(MT_DT_int64, int64_t, i)
        READ(MT_DT_uint8, uint8_t, u)
        READ(MT_DT_uint16, uint16_t, u)
        READ(MT_DT_uint32, uint32_t, u)
        READ(MT_DT_uint64, uint64_t, u)
        READ(MT_DT_float32, float, f)
        READ(MT_DT_float64, double, f)
    default: { /* a half type */
        float value;
        mt_cast_find(t->dtype, MT_DT_float32)((char *)&value, 0, data, 0, 1);
        number.f = value;
    }
    }
    return number;
}

/* An error, a value that takes longer, a device that the host can't look into, and complex
 * numbers: Python has other ways to these, and says what is wrong. */
mt_number mt_item(mt_ref ref) {
    mt_number number = mt_item_now(ref);
    return number.kind || mt_wait(ref, 0) != MT_OK ? number : mt_item_now(ref);
}
