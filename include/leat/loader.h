/* loader.h - open, take batches, close.
 *
 *     leat_config config = LEAT_CONFIG_INIT;
 *     config.source = "train-{000000..000015}.tar";
 *     leat_loader *loader;
 *     leat_error error;
 *     if (leat_open(&config, &loader, &error)) fail(error.message);
 *     leat_batch *batch;
 *     while (leat_next(loader, &batch, &error) == LEAT_OK) {
 *         train(leat_batch_tensor(batch, "image"), leat_batch_tensor(batch, "label"));
 *         leat_release(batch);
 *     }
 *     leat_close(loader);
 *
 * A loader has threads of its own and no global state: any number of them live side by side. It never prints, exits,
 * or installs signal handlers; of the environment it reads the launcher's rank and world, and only if the config leaves them
 * open. In a forked child every call says LEAT_EFORKED (leat_fd: -1, leat_errors: 0); leat_close does nothing there, and a batch
 * of the parent's is not to be released there. */
#ifndef LEAT_LOADER_H
#define LEAT_LOADER_H

#include <leat/batch.h>
#include <leat/config.h>
#include <leat/error.h>
#include <leat/stats.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_loader leat_loader;

/* Opens a loader and starts to fill it. config: borrows, until the call returns (map_user: until leat_close returns).
 * *loader: gives, to be ended by leat_close; NULL on failure. error: filled on failure; may be NULL.
 * Returns LEAT_OK; LEAT_EINVAL (a setting is impossible: the message names it, its value and what would be right; or
 * `resume` is of other data or settings); LEAT_ECHANGED (the index does not match its shards), LEAT_ECORRUPT (it is damaged);
 * LEAT_ENOTFOUND, LEAT_EACCESS (the source lists nothing); LEAT_ENOMEM; LEAT_ESYSTEM (no thread or descriptor).
 * A shard or file that is missing is found later, when it is read. Thread: any. Blocks: while listing a local source, and
 * while an index is fetched from a server. */
LEAT_API leat_code leat_open(const leat_config *config, leat_loader **loader, leat_error *error);

/* Waits for the next batch. *batch: gives, to be ended by leat_release; NULL unless LEAT_OK.
 * Returns LEAT_OK; LEAT_END once at the end of each epoch (the next call goes on with the next epoch; after the last
 * epoch always LEAT_END); or an error, which stays: every later call returns it again. LEAT_ENOMEM does not stay: it
 * says that memory_limit has no room for another batch while the consumer holds on to those it has.
 * Thread: any, one at a time is usual; several may call and each batch goes to one of them. Blocks: yes. */
LEAT_API leat_code leat_next(leat_loader *loader, leat_batch **batch, leat_error *error);

/* The same, waiting at most timeout_ms (0: not at all); LEAT_AGAIN if nothing came. Thread: any. Blocks: so long. */
LEAT_API leat_code leat_next_timeout(leat_loader *loader, uint32_t timeout_ms, leat_batch **batch, leat_error *error);

/* leat_next_timeout with 0. Thread: any. Blocks: no. */
LEAT_API leat_code leat_try_next(leat_loader *loader, leat_batch **batch, leat_error *error);

/* Writes the loader's position to state[capacity] (LEAT_STATE_BYTES are always enough) as one line of JSON: behind the last batch
 * that leat_next has given out; batches that are ready but were not taken come again after a resume. A loader opened with it as
 * leat_config.resume goes on with exactly the batch that would have come next; with another `world`, at the next global batch, if
 * every rank saved at the same one. It is refused (LEAT_EINVAL, with the difference) for other data or other settings than those
 * it depends on: threads, connections, prefetch, epochs and on_error may differ, and with an index (or loose files) memory_limit.
 * With LEAT_OK; LEAT_EINVAL if capacity is too small; LEAT_EFORKED.
 * Thread: any, also beside leat_next. Blocks: no; takes microseconds. */
LEAT_API leat_code leat_save(leat_loader *loader, char *state, size_t capacity, leat_error *error);
#define LEAT_STATE_BYTES 1024

/* Returns a descriptor that polls readable while leat_try_next would return anything but LEAT_AGAIN, for the host's own
 * event loop; level-triggered: take until LEAT_AGAIN. It belongs to the loader (borrows, until leat_close): never read,
 * write or close it. Thread: any. Blocks: no. */
LEAT_API int leat_fd(const leat_loader *loader);

/* Fills *stats with the counts since leat_open. Thread: any. Blocks: a moment, for the loop thread to answer. */
LEAT_API leat_code leat_stats(leat_loader *loader, leat_statistics *stats);

/* Copies the first `capacity` failures, in the order of the data, to errors[]; returns how many happened in all (the
 * first LEAT_ERRORS_KEPT are kept). errors may be NULL when capacity is 0. Thread: any. Blocks: no. */
LEAT_API uint64_t leat_errors(leat_loader *loader, leat_error *errors, size_t capacity);
#define LEAT_ERRORS_KEPT 1000

/* Fills *chosen with the config as it runs: every zero replaced by the choice made. Its pointers live as long as the
 * loader (borrows). Thread: any. Blocks: no. */
LEAT_API void leat_chosen(const leat_loader *loader, leat_config *chosen);

/* Stops everything and frees the loader (takes; NULL is fine), from any state and within a second; batches that the
 * consumer holds stay valid. No other call on the loader may be running or follow. Thread: any but a pool thread of
 * this loader. Blocks: until all of its threads have ended. */
LEAT_API void leat_close(leat_loader *loader);

/* ---- inside a custom stage ---- */

/* The row's slice of a tensor: its address and bytes; NULL if there is no such tensor or it is ragged. The tensor's
 * dtype and shape are the batch's. Thread: the map function's. Blocks: no. */
LEAT_API void *leat_row_data(leat_row *row, const char *tensor, size_t *bytes);

/* The undecoded bytes of a field of the sample ("json"); NULL if it has none. Lives until the map function returns
 * (borrows). Thread: the map function's. Blocks: no. */
LEAT_API const void *leat_row_field(leat_row *row, const char *name, size_t *bytes);

/* The sample's key and shard, its epoch, and its number within its shard. Thread: the map function's. Blocks: no. */
LEAT_API const char *leat_row_key(const leat_row *row);
LEAT_API const char *leat_row_shard(const leat_row *row);
LEAT_API uint64_t leat_row_index(const leat_row *row);
LEAT_API uint64_t leat_row_epoch(const leat_row *row);

/* A random number that depends on (seed, epoch, sample, operation) alone: augmentation that is the same in every run.
 * operation: any number of the user's; each draws its own sequence, n its position. Thread: the map function's. */
LEAT_API uint64_t leat_row_random(const leat_row *row, uint32_t operation, uint32_t n);

#ifdef __cplusplus
}
#endif
#endif
