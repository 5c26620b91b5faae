/* recordline.h - a record as a line of JSON, and back. Threads: any; pure. Parser of foreign bytes. */
#ifndef LEAT__RECORDLINE_H
#define LEAT__RECORDLINE_H

#include "store/records.h"

/* The line of a record, with its end. Returns its length as snprintf does. */
size_t leat__record_write(char *out, size_t capacity, const leat__record *record);

/* Room for the texts of a record that is read. */
struct leat__record_texts {
    char path[LEAT__RECORD_PATH], url[LEAT__RECORD_URL], etag[LEAT__RECORD_ETAG];
};

/* Reads a line, without its end; changes it. False: it is no record. */
bool leat__record_read(char *line, size_t length, struct leat__record_texts *texts, leat__record *record);

#endif
