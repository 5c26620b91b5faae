/* indexcount.c - counts several shards side by side.
 *
 * What:    a crew whose tasks are shards, each thread with a counter of its own.
 * Why so:  leat_index counts what it is given, leat_pack what lay in its folder without an index: the same, by one piece of code.
 * Threads: a crew that counts; the caller's looks on.
 * Not here: one shard (indexshard.c), what is done with the counts (indexing.c, packindex.c). */
#include "loader/indexcount.h"

#include <stdlib.h>

#include "loader/crew.h"
#include "pipeline/failure.h"

/* What the threads share. */
typedef struct counting {
    leat__index_run *run;
    leat__counted *shards;
    void (*look)(void *user);
    void *user;
} counting;

/* A thread's state. */
typedef struct counter {
    counting *shared;
    leat__shard_counter *counter;
} counter;

static void look(void *job)
{
    counting *c = job;
    c->look(c->user);
}

static void *begin(void *job, leat_error *error)
{
    counting *shared = job;
    counter *own = calloc(1, sizeof *own);
    if (own) *own = (counter){.shared = shared, .counter = leat__shard_counter_new(shared->run, error)};
    else leat__fail(error, LEAT_ENOMEM, 0, "no memory to read a shard");
    if (own && own->counter) return own;
    free(own);
    return NULL;
}

static leat_code count_one(void *state, uint64_t task, leat_error *error)
{
    counter *own = state;
    leat__counted *shard = &own->shared->shards[task];
    return leat__shard_counter_run(own->counter, shard->object, &shard->row, shard->etag, error);
}

static void end(void *state)
{
    counter *own = state;
    leat__shard_counter_free(own->counter);
    free(own);
}

leat_code leat__index_count(leat__index_run *run, leat__counted *shards, size_t count, void (*on_look)(void *user), void *user,
                            leat_error *error)
{
    bool unfinished;
    counting c = {.run = run, .shards = shards, .look = on_look, .user = user};
    leat__crew crew = {.name = "leat-index", .tasks = count, .threads = run->config->threads, .job = &c, .stopping = &run->stopping,
                       .look = look, .begin = begin, .run = count_one, .end = end};
    leat_code code = leat__crew_run(&crew, &unfinished, error);
    on_look(user);
    return !code && unfinished ? leat__fail(error, LEAT_ECLOSED, 0, "stopped as asked") : code;
}

leat_code leat__counted_add(leat__index_list *list, leat__counted *shard, leat_error *error)
{
    char *name = leat__index_name(shard->object->name);
    leat__index_row row = shard->row;
    if (!name) return leat__fail(error, LEAT_ENOMEM, 0, "no memory for an index");
    row.name = name;
    row.etag = shard->etag;
    shard->row.places = NULL;
    leat_code code = leat__index_list_add(list, &row, error);
    free(name);
    return code;
}

void leat__counted_end(leat__counted *shards, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free((uint32_t *)shards[i].row.places);
        shards[i].row.places = NULL;
    }
}
