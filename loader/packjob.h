/* packjob.h - one run of leat_pack: what its parts share. */
#ifndef LEAT__PACKJOB_H
#define LEAT__PACKJOB_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <leat/pack.h>

#include "loader/shardfile.h"
#include "loader/tarwriter.h"
#include "stages/indexlist.h"
#include "stages/source.h"

typedef struct leat__pack_job {
    /* fixed after creation */
    leat_pack_config config;        /* every zero replaced */
    const leat__listing *listing;
    int directory;                  /* of config.to */
    uint64_t total;                 /* samples; 0: not known */
    /* under the lock */
    pthread_mutex_t lock;
    uint64_t errors, first_position;
    leat_error first_error;         /* the one with the lowest position */
    leat__index_list index;         /* of the shards that are finished */
    /* atomic */
    atomic_bool cancelled;          /* a part has failed, or stop was seen: all end */
    atomic_uint_fast64_t samples, unpacked_bytes, stored_bytes, shards;
} leat__pack_job;

/* True if the run is to end early. Thread: any. */
bool leat__pack_stopping(leat__pack_job *job);

/* The same, after a look at the caller's stop flag. Thread: leat_pack's caller: the flag may be set by a signal
 * handler. */
bool leat__pack_heed(leat__pack_job *job);

/* LEAT_ECLOSED, with the words for it. */
leat_code leat__pack_stopped(leat_error *error);

/* A sample cannot be packed, as *error says (with its shard set to the file). Counts it; position: of the sample in the
 * order of the data. Returns LEAT_OK with *error cleared if it is left out, or the code that
 * ends the run, with *error saying so. Thread: any. */
leat_code leat__pack_failed(leat__pack_job *job, uint64_t position, leat_error *error);

/* Name of shard number n. */
void leat__pack_name(const leat__pack_job *job, uint64_t number, char name[LEAT__SHARD_NAME]);

/* True if name could be that of a shard of this run's prefix, of either ending. */
bool leat__pack_is_name(const leat__pack_job *job, const char *name);

/* Makes a folder and those above it, and opens it. *directory: its descriptor, gives. */
leat_code leat__pack_open_folder(const char *to, int *directory, leat_error *error);

/* Notes a finished shard for the index: bytes as stored and before compression, samples, and their places in tar's blocks (samples
 * + 1 of them; takes, also on failure). Thread: any. */
leat_code leat__pack_note_shard(leat__pack_job *job, const char *name, uint64_t bytes, uint64_t unpacked, uint64_t samples,
                                uint32_t *places, leat_error *error);

/* Writes leat.index for all shards of the folder: the ones noted, others that an index there has, and those that none has, which
 * are read. If one of them cannot be read, none is written: LEAT_ECORRUPT if one is there, which is stale then, else LEAT_OK.
 * Thread: leat_pack's caller, at the end. */
leat_code leat__pack_write_index(leat__pack_job *job, leat_error *error);

/* Calls the caller's progress function. Thread: leat_pack's caller. */
void leat__pack_progress(leat__pack_job *job);

/* Sets a failure's stage ("read", "write") and the file or shard it speaks of. */
void leat__pack_set_place(leat_error *error, const char *stage, const char *shard, const char *key);

/* The two ways: files on local disk, each read by the thread that writes its shard (packfiles.c); anything else,
 * sample by sample out of a leat_reader, by one writer (packstream.c). */
leat_code leat__pack_files(leat__pack_job *job, leat_error *error);
leat_code leat__pack_stream(leat__pack_job *job, leat_error *error);

#endif
