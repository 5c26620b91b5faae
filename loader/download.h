/* download.h - a small object of the network, whole, for a caller who waits; and how a config speaks to the HTTP client. */
#ifndef LEAT__DOWNLOAD_H
#define LEAT__DOWNLOAD_H

#include <leat/config.h>

#include "pipeline/env.h"
#include "stages/http.h"

/* The client's options as a config has them. config: with its choices made (leat__plan_config); env, loop, arena: borrows, as the
 * client does. */
leat__http_options leat__http_options_of(const leat_config *config, const leat__env *env, uv_loop_t *loop, leat__arena *arena,
                                         size_t chunk_bytes);

/* Reads all of an object. config: borrows, with its choices made. *bytes: gives (free), not NULL on success. LEAT_ELIMIT if it has
 * more than max_bytes; LEAT_ENOTFOUND if the server says 404 or 410, LEAT_EACCESS for 401 and 403 (S3 says 403 for what is not
 * there, to those who may not list the bucket); else as the client says. The message begins with the URL, redacted.
 * Thread: any. Blocks: until it is there, or every attempt has failed. */
leat_code leat__download(const leat_config *config, const char *url, uint64_t max_bytes, uint8_t **bytes, size_t *size,
                         leat_error *error);

#endif
