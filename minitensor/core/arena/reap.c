/* Reaping dead processes.  The essay is in arena.c. */
#include <stdlib.h>

#include "arena/arena.h"

#define ARENA mt_my.arena

/* Releases what a dead member held.  The caller holds the lock and the lock of the dead member's
 * slot.  Each step can be repeated: an earlier reaper that died may have done it. */
static void reap_process(mt_member dead) {
    uint32_t blocks = atomic_load(&ARENA->n_blocks), tokens = atomic_load(&ARENA->n_tokens),
             channels = atomic_load(&ARENA->n_channels);
    for (uint32_t t = 1; t < tokens; t++) {
        mt_word w = load_word(&ARENA->tokens[t].word), to = w;
        to.state = FREE;
        if (w.state == OWNED && w.owner == dead.slot) change(&ARENA->tokens[t].word, w, to);
    }
    step();
    for (uint32_t b = 1; b < blocks; b++) {
        mt_shared_block *block = &ARENA->blocks[b];
        bool held = has(mt_holders(b), dead);
        if (held) discard(mt_holders(b), dead);
        mt_word w = load_word(&block->word);
        if (w.state == OWNED && w.owner == dead.slot) mt_arena_block_disown(b);
        else if (held) mt_arena_block_maybe_free(b);
    }
    step();
    for (uint32_t c = 1; c < channels; c++) {
        mt_channel *channel = &ARENA->channels[c];
        if (has(mt_users(c), dead)) discard(mt_users(c), dead);
        mt_word w = load_word(&channel->word);
        if (w.state == OWNED && w.owner == dead.slot) mt_channel_sweep(c);
        else mt_channel_maybe_sweep(c);
    }
    step();
}

/* Corrects token counts that a killed process left too high.  The caller holds the lock.
 *
 * The recount covers the blocks that have at most this process as holder.  Only this process can
 * send such a block, and this process holds its lock.  So each token that a word counts was in the
 * table when the reaper read the word, below the table's high-water mark of that moment.  Hence the
 * order: words, mark, tokens.  A claim during the recount steps the word, so the swap fails.
 *
 * A block with other holders waits until they have dropped it.  Until then its count is too high,
 * and a writer makes one copy more than necessary. */
static void recount(void) {
    uint32_t blocks = atomic_load(&ARENA->n_blocks);
    step();
    uint32_t *flying = NULL;
    uint64_t *before = NULL;
    for (uint32_t b = 1; b < blocks; b++) {
        mt_word w = load_word(&ARENA->blocks[b].word);
        if (w.state != LIVE || !mt_countable(b)) continue;
        if (!w.count) {
            mt_arena_block_maybe_free(b);
            continue;
        }
        if (!flying && (!(flying = calloc(MT_BLOCKS, sizeof *flying)) ||
                        !(before = calloc(MT_BLOCKS, sizeof *before))))
            break;
        before[b] = pack(w);
    }
    if (flying && before) {
        step();
        /* The mark is read after the counts: the tokens that they count lie below it. */
        uint32_t tokens = atomic_load(&ARENA->n_tokens);
        for (uint32_t t = 1; t < tokens; t++)
            if (load_word(&ARENA->tokens[t].word).state >= OWNED)
                flying[atomic_load(&ARENA->tokens[t].block) % MT_BLOCKS]++;
        for (uint32_t b = 1; b < blocks; b++) {
            mt_word w = unpack(before[b]), to = w;
            if (!before[b] || flying[b] >= w.count || !mt_countable(b)) continue;
            step();
            to.count = flying[b];
            if (change(&ARENA->blocks[b].word, w, to)) mt_arena_block_maybe_free(b);
        }
    }
    free(flying);
    free(before);
    int64_t idle = 0;
    int free_of[MT_SHARED_CLASSES] = {0};
    /* Correct the hints. */
    for (uint32_t b = 1; b < blocks; b++) {
        mt_shared_block *block = &ARENA->blocks[b];
        if (load_word(&block->word).state != FREE || !block->size) continue;
        free_of[block->class]++;
        if (atomic_load(&block->committed)) idle += block->size;
    }
    for (int c = 0; c < MT_SHARED_CLASSES; c++) atomic_store(&ARENA->classes[c].free, free_of[c]);
    atomic_store(&ARENA->free_bytes, idle);
}

bool mt_reap_if_dead(int probe, mt_member m) {
    if (!mt_slot_dead(probe, m)) return false;
    if (atomic_load(&ARENA->slots[m.slot].state) > FREE) { /* no other reaper was faster */
        reap_process(m);
        atomic_fetch_add(&ARENA->reaped, 1);
    }
    mt_slot_give_back(probe, m);
    return true;
}

int mt_reap_locked(void) {
    int n = 0, probe = mt_my.me ? mt_slot_probe() : -1;
    if (probe < 0) return 0; /* another member reaps */
    uint32_t slots = atomic_load(&ARENA->n_slots);
    for (uint32_t s = 1; s < slots; s++)
        if (s != mt_my.me->slot && atomic_load(&ARENA->slots[s].state) > FREE)
            n += mt_reap_if_dead(probe, (mt_member){s});
    close(probe);
    if (n || atomic_load(&ARENA->reaped) || atomic_load(&ARENA->stray))
        recount(); /* at each reap: the count of a block with holders is corrected later */
    return n;
}

int mt_arena_reap(void) {
    pthread_mutex_lock(&mt_my.lock);
    int n = mt_reap_locked();
    pthread_mutex_unlock(&mt_my.lock);
    return n;
}

/* Returns 1 if another living member uses the channel, 0 if there is none, and -1 if the users are
 * unknown.  Takes the lock.  The search ends at the first living member, so that a family of
 * thousands that waits for messages does not check every member each time. */
int mt_channel_has_others(int64_t id) {
    uint32_t c = (uint32_t)id & 0xffff;
    int result = -1;
    pthread_mutex_lock(&mt_my.lock);
    int probe = atomic_load(&ARENA->channels[c].guests) ? -1 : mt_slot_probe();
    if (probe >= 0) {
        result = 0;
        for (uint32_t s = 1, n = atomic_load(&ARENA->n_slots); s < n && !result; s++)
            if (s != mt_my.me->slot && has(mt_users(c), (mt_member){s}))
                result = !mt_reap_if_dead(probe, (mt_member){s});
        close(probe);
    }
    if (atomic_load(&ARENA->channels[c].guests)) result = -1;
    pthread_mutex_unlock(&mt_my.lock);
    return result;
}
