/* reader.h - samples as they are stored, undecoded: what `leat ls` and `leat pack` are made of. */
#ifndef LEAT_READER_H
#define LEAT_READER_H

#include <leat/config.h>
#include <leat/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct leat_reader leat_reader;
typedef struct leat_sample leat_sample;

/* Opens a source for reading sample by sample, in the config's order: the samples that a loader with this config would deliver
 * (fields and image settings are not used; `resume` neither: use `epoch` and `step`).
 * Ownership, codes, threads and blocking as leat_open. */
LEAT_API leat_code leat_reader_open(const leat_config *config, leat_reader **reader, leat_error *error);

/* Waits for the next sample. *sample: gives, to be ended by leat_sample_release; NULL unless LEAT_OK. Returns LEAT_OK,
 * LEAT_END at the end of each epoch, or an error that stays. A shard or sample that fails is skipped and counted as
 * on_error and max_errors say. A consumer that holds samples holds their memory: held samples beyond a lane's share of
 * memory_limit stop the reader, so release each before taking many more. Thread: any. Blocks: yes. */
LEAT_API leat_code leat_reader_next(leat_reader *reader, leat_sample **sample, leat_error *error);

/* The same, waiting at most timeout_ms (0: not at all); LEAT_AGAIN if nothing came. Thread: any. Blocks: so long. */
LEAT_API leat_code leat_reader_next_timeout(leat_reader *reader, uint32_t timeout_ms, leat_sample **sample,
                                            leat_error *error);

/* Failures so far, as leat_errors. Thread: any. Blocks: no. */
LEAT_API uint64_t leat_reader_errors(leat_reader *reader, leat_error *errors, size_t capacity);

/* Number of classes of a source of class folders, of the first one of several (0 if it has none), and the name of class i, which
 * lives as long as the reader (borrows; NULL past the last). Thread: any. Blocks: no. */
LEAT_API size_t leat_reader_classes(const leat_reader *reader);
LEAT_API const char *leat_reader_class(const leat_reader *reader, size_t i);

/* As leat_close. */
LEAT_API void leat_reader_close(leat_reader *reader);

/* The sample's key, the shard or file it is from, its number in it, and the byte offset of its first field in the
 * unpacked shard. Strings live as long as the sample (borrows). Thread: any. Blocks: no. */
LEAT_API const char *leat_sample_key(const leat_sample *sample);
LEAT_API const char *leat_sample_shard(const leat_sample *sample);
LEAT_API uint64_t leat_sample_index(const leat_sample *sample);
LEAT_API uint64_t leat_sample_offset(const leat_sample *sample);

/* Where a loader delivers it: the epoch, the global batch in it, and the row in its rank's batch. Thread: any. Blocks: no. */
LEAT_API uint64_t leat_sample_epoch(const leat_sample *sample);
LEAT_API uint64_t leat_sample_step(const leat_sample *sample);
LEAT_API uint64_t leat_sample_row(const leat_sample *sample);

/* The class by folder, -1 if the source has no class folders. Thread: any. Blocks: no. */
LEAT_API int64_t leat_sample_class(const leat_sample *sample);

/* Number of fields; name ("jpg", "seg.png") and bytes of field i, in stored order; NULL past the last. They live as long
 * as the sample (borrows). Thread: any. Blocks: no. */
LEAT_API size_t leat_sample_fields(const leat_sample *sample);
LEAT_API const char *leat_sample_field(const leat_sample *sample, size_t i);
LEAT_API const void *leat_sample_bytes(const leat_sample *sample, size_t i, size_t *bytes);

/* Ends the sample (takes; NULL is fine). Thread: any, also after leat_reader_close. Blocks: no. */
LEAT_API void leat_sample_release(leat_sample *sample);

#ifdef __cplusplus
}
#endif
#endif
