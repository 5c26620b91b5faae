/* digests.h - 64-bit digests of data and settings, by which a state knows them again. */
#ifndef LEAT__DIGESTS_H
#define LEAT__DIGESTS_H

#include "loader/origins.h"

/* Of the names of shards and files, in their order. Without folders, so that a data set that was moved is the same. */
uint64_t leat__digest_names(const leat__origins *origins);

/* Of the sizes of local shards whose samples are not counted; 0: they are, or are remote, or over 20,000, or one is not there. Blocks. */
uint64_t leat__digest_sizes(const leat__origins *origins);

/* Of counts and sizes; 0 if the samples are not counted. Loose files: of their number. */
uint64_t leat__digest_counts(const leat__origins *origins);

uint64_t leat__digest_fields(const leat_field *fields, size_t count);
uint64_t leat__digest_image(const leat_image *image);

/* Of the weights, fields and images of several sources; 0: there is one. */
uint64_t leat__digest_mix(const leat_config *config);

#endif
