/* indexforeign.h - indexes that other programs have written: WebDataset's wids (JSON) and DALI's wds2idx (.idx).
 *
 * wids: webdataset, wids/wids_index.py: {"wids_version": 1, "shardlist": [{"url": ..., "nsamples": N, "filesize": B, ...}, ...]}.
 * DALI: tools/wds2idx.py: one text file for a shard, "v1.2 N" and then a line for each sample: "ext offset size name" for each of
 * its files (v1.1: without name). Parsers of foreign bytes. */
#ifndef LEAT__INDEXFOREIGN_H
#define LEAT__INDEXFOREIGN_H

#include "stages/indexlist.h"

/* True if a text begins as one of them does. */
bool leat__wids_is(const uint8_t *text, size_t size);
bool leat__dali_is(const uint8_t *text, size_t size);

/* Adds the shards of a wids index: counts, and sizes where it has them. shown: its name, for messages. LEAT_EFORMAT,
 * LEAT_EUNSUPPORTED (a newer version; data sets within it), LEAT_ENOMEM. */
leat_code leat__wids_read(const uint8_t *text, size_t size, const char *shown, leat__index_list *list, leat_error *error);

/* Adds one shard, called `name`: count and places. No places where they can't be relied on (a shard that is not called .tar;
 * offsets that no tar has; a name in it of over 100 bytes: wds2idx reckons back from the next file's block and is wrong there
 * with GNU archives; over 2 TiB). LEAT_EFORMAT, LEAT_ENOMEM. */
leat_code leat__dali_read(const uint8_t *text, size_t size, const char *shown, const char *name, leat__index_list *list,
                          leat_error *error);

#endif
