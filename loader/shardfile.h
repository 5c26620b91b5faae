/* shardfile.h - a file that appears under its name only when it is whole, compressed on the way if asked.
 *
 * Written beside its place as NAME.partial, then renamed. One object writes one file after another, keeping its memory.
 * Thread: one at a time. Failures have stage "write". */
#ifndef LEAT__SHARDFILE_H
#define LEAT__SHARDFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>
#include <leat/pack.h>

typedef struct leat__shard_file leat__shard_file;

enum { LEAT__SHARD_NAME = 320 }; /* bytes of a file's name, NUL included: NAME_MAX, and the ending of a partial file */

/* level: zstd's. Gives; NULL if memory is short. */
leat__shard_file *leat__shard_file_new(leat_compression compression, int level);

/* Abandons what is open and frees it (takes; NULL is fine). */
void leat__shard_file_free(leat__shard_file *file);

/* Begins NAME in a folder. directory: its descriptor (borrows, until commit or abandon); to: its path, for messages
 * (borrows likewise). A stale NAME.partial is replaced. overwrite: NAME may exist at the end; else that is
 * LEAT_EEXISTS. */
leat_code leat__shard_file_begin(leat__shard_file *file, int directory, const char *to, const char *name,
                                 bool overwrite,
                                 leat_error *error);

/* Appends bytes (borrows). Has the shape of a leat__tar_sink: user is the leat__shard_file. */
leat_code leat__shard_file_write(void *user, const void *data, size_t size, leat_error *error);

/* To read straight into the file's buffer: gives room for *room bytes (at least 1) in *space, and one byte more that is
 * not part of it, so that a reader can see whether more would come. Then says how many were put there. */
leat_code leat__shard_file_space(leat__shard_file *file, uint8_t **space, size_t *room, leat_error *error);
void leat__shard_file_advance(leat__shard_file *file, size_t size);

/* Bytes appended so far, before compression. */
uint64_t leat__shard_file_position(const leat__shard_file *file);

/* Ends the file: everything is on disk under its name. *bytes: its size. On failure the partial file is still there for
 * abandon. */
leat_code leat__shard_file_commit(leat__shard_file *file, uint64_t *bytes, leat_error *error);

/* Removes the partial file. Nothing happens if none is open. */
void leat__shard_file_abandon(leat__shard_file *file);

#endif
