#include "executor/executor.h"

void mt_set_synchronous(int on) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.synchronous = on;
    pthread_mutex_unlock(&mt_exec.lock);
}

void mt_set_fusion(int on) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.fusion = on;
    pthread_mutex_unlock(&mt_exec.lock);
}

void mt_set_inline_limit(int64_t elements) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.inline_limit = elements;
    pthread_mutex_unlock(&mt_exec.lock);
}

void mt_set_queue_bound(int64_t tasks, int64_t bytes) {
    pthread_mutex_lock(&mt_exec.lock);
    mt_exec.max_tasks = tasks;
    mt_exec.max_bytes = bytes;
    pthread_cond_broadcast(&mt_exec.progress);
    pthread_mutex_unlock(&mt_exec.lock);
}

int mt_thread_count(void) {
    int count = 0;
    pthread_mutex_lock(&mt_exec.lock);
    for (int i = 1; i < mt_exec.n_streams; i++) count += mt_exec.streams[i]->started;
    pthread_mutex_unlock(&mt_exec.lock);
    return count;
}
