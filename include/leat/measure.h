/* measure.h - proofs: a digest of what came out, and how fast it could have come. */
#ifndef LEAT_MEASURE_H
#define LEAT_MEASURE_H

#include <leat/batch.h>
#include <leat/config.h>

#ifdef __cplusplus
extern "C" {
#endif

/* SHA-256 (FIPS 180-4) over batches: for each, every tensor in order: its name, dtype, shape and row bytes, ragged
 * offsets included, and the rows' keys. Equal digests mean equal training input. */
typedef struct leat_digest leat_digest;

/* Gives a digest, to be ended by leat_digest_free; NULL if memory is short. Thread: any, one at a time. Blocks: no. */
LEAT_API leat_digest *leat_digest_new(void);

/* Adds a batch (borrows, until it returns). Blocks: while it hashes. */
LEAT_API void leat_digest_add(leat_digest *digest, const leat_batch *batch);

/* Writes the digest so far as 64 hex digits and a NUL; more may be added after it. Blocks: no. */
LEAT_API void leat_digest_hex(const leat_digest *digest, char hex[65]);

/* Frees it (takes; NULL is fine). */
LEAT_API void leat_digest_free(leat_digest *digest);

/* The ideal loop: the first samples of the source are read into memory, then decoded and transformed by the same kernels
 * on config.threads plain threads into rows that are used again and again, with no pipeline around them, for about
 * `seconds`. Nothing that delivers the same pixels with these kernels on these threads can be faster. */
typedef struct leat_ideal {
    uint64_t samples;          /* decoded in the time measured */
    uint64_t distinct;         /* samples held in memory */
    double seconds;            /* measured, warm-up not counted */
    double samples_per_second;
} leat_ideal;

/* Measures it. max_samples: how many distinct samples to hold at most; 0: as many as half of memory_limit holds.
 * error: as leat_open. Thread: any. Blocks: for the reading and for `seconds`. */
LEAT_API leat_code leat_measure_ideal(const leat_config *config, double seconds, uint64_t max_samples, leat_ideal *ideal,
                                      leat_error *error);

#ifdef __cplusplus
}
#endif
#endif
