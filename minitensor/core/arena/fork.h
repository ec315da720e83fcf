/* The arena in a fork: called inside of fork().  The essay is in fork.c. */
#ifndef MT_ARENA_FORK_H
#define MT_ARENA_FORK_H
#include <stdbool.h>

/* Takes the arena's lock, and gives the child a place or copies. */
void mt_arena_before_fork(void);

/* Sets the blocks apart to which arrays write (exclusive.c); false: not all of them. */
bool mt_arena_set_all_apart(void);

/* Gives the lock back, and what the child has got. */
void mt_arena_in_parent(void);

/* Makes the lock anew, and takes the place or becomes a guest. */
void mt_arena_in_child(void);
#endif
