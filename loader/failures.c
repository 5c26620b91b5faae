/* failures.c - the list of what failed, and whether the run may go on.
 *
 * What:    completes each failure's sentence: which shard, which sample, where, why, and what was done about it.
 * Threads: judged on the loop thread in the order of the data, so that the list is the same in every run; read by any. */
#include "loader/failures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/loader.h>

#include "pipeline/failure.h"

void leat__failures_init(leat__failures *failures, leat_on_error on_error, uint64_t max_errors)
{
    *failures = (leat__failures){.on_error = on_error, .max_errors = max_errors};
    pthread_mutex_init(&failures->lock, NULL);
}

void leat__failures_destroy(leat__failures *failures)
{
    free(failures->kept);
    pthread_mutex_destroy(&failures->lock);
}

/* "train-000003.tar: sample n0144/12 at byte 5242880: " */
static size_t describe_place(const leat_error *failure, char *out, size_t capacity)
{
    size_t used = (size_t)snprintf(out, capacity, "%s", failure->shard);
    if (failure->key[0] && used < capacity) used += (size_t)snprintf(out + used, capacity - used, ": sample %s", failure->key);
    if (failure->offset != UINT64_MAX && used < capacity)
        used += (size_t)snprintf(out + used, capacity - used, " at byte %llu", (unsigned long long)failure->offset);
    return used < capacity ? used : capacity - 1;
}

static const char *action(const leat__failures *failures, const leat__sample *sample)
{
    if (failures->on_error == LEAT_ON_ERROR_STOP) return "stopped";
    if (sample->lost_object) return "the rest of it skipped";
    bool has_row = sample->batch != NULL; /* one that failed before the first array was seen has none */
    return failures->on_error == LEAT_ON_ERROR_SUBSTITUTE && has_row ? "substituted" : "skipped";
}

/* The whole failure, as it is listed. */
static void complete(const leat__failures *failures, const leat__sample *sample, uint64_t number, leat_error *failure)
{
    const leat_error *cause = &sample->error;
    *failure = *cause;
    leat__escape(failure->shard, sizeof failure->shard, sample->object->display, strlen(sample->object->display));
    if (!failure->key[0] && sample->key) leat__escape(failure->key, sizeof failure->key, sample->key, strlen(sample->key));
    char place[600], limit[64] = "";
    describe_place(failure, place, sizeof place);
    if (failures->on_error != LEAT_ON_ERROR_STOP && failures->max_errors != LEAT_UNLIMITED)
        snprintf(limit, sizeof limit, " (%llu of at most %llu)", (unsigned long long)number,
                 (unsigned long long)failures->max_errors);
    char why[sizeof cause->message]; /* cut on a character's edge */
    size_t room = sizeof why - strlen(place) - strlen(limit) - 40;
    leat__escape(why, room, cause->message, strlen(cause->message));
    snprintf(failure->message, sizeof failure->message, "%s: %.*s; %s%s", place, (int)room, why, action(failures, sample), limit);
}

static void keep_locked(leat__failures *failures, const leat_error *failure)
{
    size_t n = (size_t)failures->count;
    if (n >= LEAT_ERRORS_KEPT) return;
    if (n == failures->capacity) {
        size_t capacity = n ? 2 * n : 8;
        leat_error *kept = realloc(failures->kept, capacity * sizeof *kept);
        if (!kept) return; /* counted all the same */
        failures->kept = kept;
        failures->capacity = capacity;
    }
    failures->kept[n] = *failure;
}

leat_code leat__failures_judge(leat__failures *failures, const leat__sample *sample, leat_error *error)
{
    leat_error failure;
    pthread_mutex_lock(&failures->lock);
    complete(failures, sample, failures->count + 1, &failure);
    keep_locked(failures, &failure);
    failures->count++;
    bool too_many = failures->count > failures->max_errors;
    leat_error first = failures->kept ? failures->kept[0] : failure;
    uint64_t count = failures->count;
    pthread_mutex_unlock(&failures->lock);
    if (failures->on_error == LEAT_ON_ERROR_STOP) {
        *error = failure;
        return error->code;
    }
    if (!too_many) return LEAT_OK;
    *error = first;
    error->code = LEAT_ETOOMANY;
    char why[900];
    leat__escape(why, sizeof why, first.message, strlen(first.message));
    snprintf(error->message, sizeof error->message, "%llu failures, more than max_errors (%llu); the first: %s",
             (unsigned long long)count, (unsigned long long)failures->max_errors, why);
    return LEAT_ETOOMANY;
}

uint64_t leat__failures_get(leat__failures *failures, leat_error *errors, size_t capacity)
{
    pthread_mutex_lock(&failures->lock);
    uint64_t count = failures->count;
    size_t kept = count < LEAT_ERRORS_KEPT ? (size_t)count : LEAT_ERRORS_KEPT;
    if (kept > failures->capacity) kept = failures->capacity;
    size_t n = kept < capacity ? kept : capacity;
    if (n) memcpy(errors, failures->kept, n * sizeof *errors);
    pthread_mutex_unlock(&failures->lock);
    return count;
}
