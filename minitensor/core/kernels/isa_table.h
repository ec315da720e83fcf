/* All loops of one instruction set, and their table: included by the isa_*.c, which define
 * MT_LOOPS, MT_ISA_NAME and MT_FMA. */
#include "kernels/math/elementary.h"
#include "kernels/elementwise.h"
#include "kernels/casts.h"
#include "kernels/folds.h"
#include "kernels/nontemporal.h"
#include "kernels/transpose.h"

const mt_loops MT_LOOPS = {
    .name = MT_ISA_NAME,
    .kernels =
        {
#include "generated/kernels_gen.h"
        },
    .casts = MT_CAST_TABLE,
    .copies = MT_COPIES,
    .transposes = MT_TRANSPOSES,
    .folds = MT_FOLD_TABLE,
    .stream = stream,
};
