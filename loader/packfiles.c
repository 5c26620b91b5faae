/* packfiles.c - packs files on local disk: each thread writes whole shards, reading its files itself.
 *
 * What:    a crew whose tasks are the plan's shards.
 * Why so:  a shard is one thread's from its first file to its rename, memory is one buffer a thread, and the bytes don't depend
 *          on how many threads there are.
 * Threads: writers of our own; the caller's thread reports progress and sees the stop flag.
 * Not here: which file goes where (packplan.c), the bytes of a shard (packshard.c), the threads (crew.c). */
#include <stdlib.h>

#include "loader/crew.h"
#include "loader/packshard.h"
#include "pipeline/failure.h"

typedef struct pack_run {
    leat__pack_job *job;
    leat__pack_plan *plan;
} pack_run;

static void look(void *argument)
{
    pack_run *run = argument;
    leat__pack_heed(run->job);
    leat__pack_progress(run->job);
}

static void *begin_writer(void *argument, leat_error *error)
{
    pack_run *run = argument;
    leat__shard_writer *writer = calloc(1, sizeof *writer);
    if (!writer) leat__fail(error, LEAT_ENOMEM, 0, "no memory for a shard's buffers");
    else if (leat__shard_writer_begin(writer, run->job, run->plan, error) == LEAT_OK) return writer;
    free(writer);
    return NULL;
}

static leat_code write_shard(void *writer, uint64_t shard, leat_error *error)
{
    return leat__shard_writer_run(writer, (size_t)shard, error);
}

static void end_writer(void *writer)
{
    leat__shard_writer_end(writer);
    free(writer);
}

leat_code leat__pack_files(leat__pack_job *job, leat_error *error)
{
    leat__pack_plan plan;
    bool unfinished = false;
    leat_code code = leat__pack_plan_make(job, &plan, error);
    job->total = plan.count;
    if (!code) {
        pack_run run = {.job = job, .plan = &plan};
        leat__crew crew = {.name = "leat-pack", .tasks = plan.shards, .threads = job->config.threads, .job = &run,
                           .stopping = &job->cancelled, .look = look, .begin = begin_writer, .run = write_shard, .end = end_writer};
        code = leat__crew_run(&crew, &unfinished, error);
    }
    leat__pack_plan_end(&plan);
    return !code && unfinished ? leat__pack_stopped(error) : code;
}
