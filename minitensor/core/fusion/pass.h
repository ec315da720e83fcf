/* Passes: several tasks of a stream done tile by tile.  fuse.c finds which tasks belong together,
 * plan.c writes down what there is to do for a tile, execute.c does it. */
#ifndef MT_PASS_H
#define MT_PASS_H
#include "kernels/isa.h"
#include "kernels/walk.h"
#include "tensor/task.h"

enum {
    MT_PASS_TASKS = 16,
    MT_PASS_VALUES = 8 * MT_PASS_TASKS, /* three operands, each widened; a result, narrowed */
    MT_PASS_LOADS = 3 * MT_PASS_TASKS,
    MT_PASS_TILES = 12,
    MT_PASS_CONSTS = 6
};
enum { MT_NO_TILE = -1 };

/* A tile, and a gap: tiles of float32 fill half of a page, and without it all would compete for the
 * same places of the cache. */
typedef union {
    char bytes[MT_TILE * 8 + 2048];
    double aligned;
} mt_pass_tile;

/* What is made once for each tile. */
typedef struct {
    enum { MT_LOAD, MT_CONST, MT_CAST, MT_OP } kind;
    int dtype, in[3], n_in; /* of an OP and of a CAST: values */
    int tile; /* that it is made in; MT_NO_TILE: it is where it lies, or in its output */
    int last; /* the last value made of it */
    int walk; /* LOAD: its walk; CONST: its tile */
    const mt_tensor *source; /* LOAD and CONST: its tensor; NULL: a CONST made of another one */
    bool stored, past;       /* it goes to an output, and that past the cache */
    char *out;
    mt_kernel kernel;
    mt_cast_fn cast;
} mt_value;

/* A copy of an operand in the order of the pass. */
typedef struct {
    mt_device *device;
    char *data;
    int64_t nbytes;
} mt_materialized;

typedef struct {
    mt_task *const *tasks; /* the last may be a reduction */
    const mt_task *reduce; /* it; NULL: there is none */
    int n, n_values, n_loads, n_consts;
    int ndim, order[MT_MAX_NDIM]; /* in which the dimensions are walked, the innermost last */
    const int64_t *shape;
    int64_t size;
    int result[MT_PASS_TASKS];         /* the value that each task returns, or reduces */
    bool seen[MT_PASS_TASKS];          /* it is reachable */
    mt_storage *reused[MT_PASS_TASKS]; /* whose memory its output takes over */
    bool in_tiles; /* some value is in a tile, so the elements are taken by tiles */
    mt_value values[MT_PASS_VALUES];
    mt_walk loads[MT_PASS_LOADS];
    mt_pass_tile consts[MT_PASS_CONSTS];
    mt_materialized materialized[MT_PASS_LOADS];
    int n_materialized;
    atomic_int bad;
    /* A reduction: */
    const mt_fold *fold;
    int64_t count, blocks; /* elements of one result, and blocks of these */
    char *acc, *aux;       /* the running values of all blocks, when a result has several */
    mt_walk results;       /* over the output */
} mt_pass;

/* Writes a pass down (plan.c); false: it needs too many values. */
bool mt_plan(mt_pass *p, mt_task *const *tasks, int n);

/* Copies operands that would be collected element by element, where there is memory for it. */
void mt_materialize(mt_pass *p);

/* Frees these copies. */
void mt_free_materialized(mt_pass *p);

/* Gives memory to all outputs that can be asked for; false: there is none, and no value has
 * changed. */
bool mt_give_memory(mt_pass *p);

/* Gives the outputs memory and their values (execute.c).  Returns how many of the tasks were done,
 * before one failed; its status. */
int mt_pass_run(mt_task *const *tasks, int n, int *status);
#endif
