/* cachefile.h - the file of one object in the cache (docs/formats.md): a head, the checksums of its blocks, its bytes.
 *
 * It grows while it is filled: how many bytes of the object are there is told by its length alone, so that readers in other
 *                              processes
 * may follow. Little endian. The head is foreign data, and so is all else. Threads: a file or writer belongs to one at a time. */
#ifndef LEAT__CACHEFILE_H
#define LEAT__CACHEFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/error.h>

enum {
    LEAT__CACHE_HEAD = 4096,   /* bytes of the head */
    LEAT__CACHE_BLOCK = 65536, /* of the object, for each of which there is a CRC-32C */
};

typedef struct leat__cachehead {
    uint8_t key[32];      /* SHA-256 of the URL */
    uint64_t total;       /* bytes of the object */
    bool whole;           /* they are all there, and so are the checksums */
    char etag[128];       /* as its server sent them; "": none */
    char modified[64];
    char url[1024];       /* redacted, for people */
} leat__cachehead;

typedef struct leat__cachefile {
    int fd;               /* -1: none */
    leat__cachehead head;
    uint64_t device, inode;
} leat__cachefile;

#define LEAT__NO_CACHEFILE ((leat__cachefile){.fd = -1})

/* Where an object's bytes begin in its file, and how long the file is in the end. */
uint64_t leat__cachefile_data_at(uint64_t total);
uint64_t leat__cachefile_bytes(uint64_t total);

/* Reads a head from its LEAT__CACHE_HEAD bytes. LEAT_ECORRUPT says what is wrong. */
leat_code leat__cachefile_parse(const uint8_t *page, leat__cachehead *head, leat_error *error);

/* Opens a file in a folder for reading, or for writing too; without following a link or waiting at a FIFO. key: of the object that
 * it has to be of; NULL: any. *file: gives, to be ended by leat__cachefile_close. LEAT_ENOTFOUND: it is not there; LEAT_ECORRUPT:
 * it is there and no such file (a head says `whole`, but its length another thing); LEAT_EIO, LEAT_EACCESS, LEAT_ESYSTEM. */
leat_code leat__cachefile_open(int folder, const char *name, const uint8_t *key, bool write, leat__cachefile *file,
                               leat_error *error);
void leat__cachefile_close(leat__cachefile *file); /* takes what is in it; {-1} is fine */

/* How many bytes of the object are there now. Does not block: fstat. */
uint64_t leat__cachefile_have(const leat__cachefile *file);

/* Whether it has no name any more. Does not block. */
bool leat__cachefile_is_unlinked(const leat__cachefile *file);

/* Looks again whether it has become whole: then reads are checked from now on. */
void leat__cachefile_refresh(leat__cachefile *file);

/* Reads bytes that are there, all of them. Of a whole file every block that they touch is compared with its checksum:
 * LEAT_ECORRUPT names the first that differs. */
leat_code leat__cachefile_read(const leat__cachefile *file, uint64_t offset, void *data, size_t size, leat_error *error);

/* ---- writing ---- */

typedef struct leat__cachewriter {
    leat__cachefile file; /* fd -1: none */
    uint64_t have;        /* bytes of the object that are written */
    uint32_t crc;         /* of those in its last, unfinished block */
    char name[256];       /* in its folder */
} leat__cachewriter;

/* Makes a file (O_EXCL, 0600) with its head and reserves its whole length, so that its st_blocks count it from now on. It is locked
 * (as long as it is open): nobody else can take it over. LEAT_EDISK. */
leat_code leat__cachewriter_create(int folder, const char *name, const leat__cachehead *head, leat__cachewriter *writer,
                                   leat_error *error);

/* Takes over a file that a process has left: opens and locks it; then leat__cachewriter_check has to be called until it is done.
 * LEAT_EEXISTS: its writer is alive. */
leat_code leat__cachewriter_inherit(int folder, const char *name, const uint8_t *key, leat__cachewriter *writer, leat_error *error);

/* Compares the next bytes (a few MiB) of what is there with their checksums, and cuts it where they end. */
leat_code leat__cachewriter_check(leat__cachewriter *writer, bool *done, leat_error *error);

/* Writes the next bytes. LEAT_EDISK (errno in error->system) is for good. */
leat_code leat__cachewriter_add(leat__cachewriter *writer, const void *data, size_t size, leat_error *error);

/* Says in the head that it is whole. */
leat_code leat__cachewriter_finish(leat__cachewriter *writer, leat_error *error);

#endif
