/* Which tasks of a queue can be done as one pass: the essay is in fuse.c. */
#ifndef MT_FUSE_H
#define MT_FUSE_H
#include "tensor/task.h"

/* Returns true if the task can be part of a pass.  With the lock held that guards its storages'
 * errors. */
bool mt_fusible(const mt_task *task);

/* Returns how many tasks of the queue, from this one on, can be done as one pass.  ready(task): all
 * is over that the task waits for; the same lock is held. */
int mt_fuse(const mt_task *first, bool (*ready)(const mt_task *));

#endif
