/* config.h - everything a loader can be told. A zeroed field means "choose for me"; leat_chosen() reads back the choice. */
#ifndef LEAT_CONFIG_H
#define LEAT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <leat/batch.h>
#include <leat/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How an image becomes height x width. */
typedef enum leat_crop {
    LEAT_CROP_NONE = 0,           /* resize the whole image to height x width; the aspect ratio is not kept */
    LEAT_CROP_CENTER = 1,         /* resize the shorter side to `resize_shorter`, cut height x width from the middle */
    LEAT_CROP_RANDOM_RESIZED = 2, /* torchvision's RandomResizedCrop: area in `scale`, aspect ratio in `ratio` */
} leat_crop;

/* How pixels are made of those of the file; antialiased: stretched by the scale when it reduces, as Pillow's. */
typedef enum leat_resample {
    LEAT_RESAMPLE_BILINEAR = 0, /* triangle filter; within 1 of 255 of Pillow's BILINEAR of the same decoded pixels */
    LEAT_RESAMPLE_BICUBIC = 1,  /* Keys' filter with a = -0.5, as Pillow's BICUBIC */
} leat_resample;

/* How much of a JPEG or PNG file is decoded. */
typedef enum leat_decode {
    LEAT_DECODE_CROP = 0,  /* what the crop needs: its rows and columns; JPEG at 1/2, 1/4 or 1/8 where the crop is at least
                              that much larger than the output (mean PSNR against LEAT_DECODE_WHOLE: docs/performance.md) */
    LEAT_DECODE_WHOLE = 1, /* all of it at full size; damage anywhere in the file is found */
} leat_decode;

/* What an image field becomes: resize, flip, normalize. */
typedef struct leat_image {
    uint32_t height;         /* rows of the output, px; 0: 224 */
    uint32_t width;          /* columns of the output, px; 0: the height */
    leat_crop crop;          /* default LEAT_CROP_NONE */
    uint32_t resize_shorter; /* LEAT_CROP_CENTER: length of the shorter side before the cut, px; 0: max(height, width) * 256 /
                                224 */
    float scale[2];          /* LEAT_CROP_RANDOM_RESIZED: share of the area, in (0, 1]; {0, 0}: {0.08, 1} */
    float ratio[2];          /* LEAT_CROP_RANDOM_RESIZED: width / height; {0, 0}: {3/4, 4/3} */
    bool flip;               /* mirror left to right with probability 1/2, drawn per sample and epoch */
    bool orient;             /* turn upright by the EXIF orientation tag first */
    bool alpha;              /* keep alpha: 4 channels (255 where the file has none); false: 3 channels, alpha dropped */
    leat_resample resample;  /* default LEAT_RESAMPLE_BILINEAR */
    leat_decode decode;      /* default LEAT_DECODE_CROP */
    leat_dtype dtype;        /* LEAT_UINT8 (default), LEAT_FLOAT32 or LEAT_FLOAT16 */
    leat_layout layout;      /* LEAT_HWC or LEAT_CHW; LEAT_LAYOUT_AUTO: HWC for uint8, CHW for floats */
    float mean[3];           /* floats: subtracted from value / 255, in RGB order; default 0 */
    float std[3];            /* floats: then divided by this; 0: 1. Alpha is only divided by 255 */
} leat_image;

/* How a field of a sample becomes a tensor of the batch. n is the number of rows of the batch. */
typedef enum leat_field_kind {
    LEAT_FIELD_IMAGE = 1, /* JPEG or PNG, by content -> [n, H, W, C] or [n, C, H, W] as leat_image says */
    LEAT_FIELD_INT = 2,   /* decimal ASCII integer (.cls, .txt) -> int64 [n] */
    LEAT_FIELD_FLOAT = 3, /* decimal ASCII number -> float32 [n] */
    LEAT_FIELD_ARRAY = 4, /* .npy of one shape and dtype throughout -> [n, ...shape]; the first sample says which */
    LEAT_FIELD_BYTES = 5, /* any bytes (text, JSON, undecoded images) -> ragged uint8: offsets [n + 1] and data */
} leat_field_kind;

typedef struct leat_field {
    const char *tensor;   /* the tensor's name in the batch: "image" */
    const char *names;    /* field names in the sample, first match wins, ';' between them, case ignored: "jpg;jpeg;png" */
    leat_field_kind kind;
    bool optional;        /* a sample without it is fine: INT gives -1, FLOAT gives NaN, BYTES gives 0 bytes */
} leat_field;

typedef enum leat_order {
    LEAT_ORDER_SHUFFLED = 0,   /* shards permuted, dealt to lanes, windows permuted; loose files permuted */
    LEAT_ORDER_SEQUENTIAL = 1, /* as the source lists them */
} leat_order;

/* What happens to a sample that cannot be read or decoded. */
typedef enum leat_on_error {
    LEAT_ON_ERROR_SKIP = 0,       /* the batch has fewer rows and says so (leat_batch_missing) */
    LEAT_ON_ERROR_STOP = 1,       /* leat_next returns the error once every batch before it has been delivered */
    LEAT_ON_ERROR_SUBSTITUTE = 2, /* the row repeats its nearest good neighbour in the batch and is marked */
} leat_on_error;

/* What happens at the end of an epoch, where fewer samples are left than a whole global batch. */
typedef enum leat_remainder {
    LEAT_REMAINDER_SHORT = 0, /* the last batch is short: its rows are dealt to the ranks like all others, so that nothing is lost.
                                 Only if fewer samples than ranks are left they are dropped: every rank has the same number of
                                 batches */
    LEAT_REMAINDER_DROP = 1,  /* left out: every batch is full. With epoch_samples or several sources they come in the next epoch */
    LEAT_REMAINDER_PAD = 2,   /* filled up with the first samples of the epoch's order (with epoch_samples or several sources: with
                                 those that come next): every batch is full, nothing is lost */
} leat_remainder;

/* One of several sources that are mixed. At every prefix of the order of all ranks together, the samples of each source are within
 * 1 of its share (Tijdeman, "The chairman assignment problem", 1980). A source that ends begins anew, in another order. */
typedef struct leat_source {
    const char *source;       /* as leat_config.source. Required. Its samples have to be counted: see leat_config.index */
    double weight;            /* its share is weight over the sum of all; at most 6 decimals; 0: 1 */
    const char *name;         /* for the statistics; NULL: the source */
    const char *index;        /* as leat_config.index */
    const leat_field *fields; /* NULL: as leat_config.fields; else the same tensors and kinds in the same order, with field names
                                 and `optional` of its own */
    size_t field_count;
    const leat_image *image;  /* NULL: as leat_config.image; else of the same height, width, alpha, dtype and layout, with crop,
                                 flip, mean ... of its own */
} leat_source;

/* A row that is being made, as a custom stage sees it. Valid during the call only. */
typedef struct leat_row leat_row;

/* A custom stage: called once for every decoded sample, on a pool thread, several at a time.
 * `user` is config.map_user (borrows). To refuse the sample return anything but 0 and say why in `reason`
 * (at most `reason_bytes`, NUL included): on_error then applies. It may read and change the row's tensors in place,
 * and must call no other leat function but leat_row_*. It must depend on the row alone for runs to be repeatable. */
typedef int (*leat_map_fn)(void *user, leat_row *row, char *reason, size_t reason_bytes);

#define LEAT_UNLIMITED UINT64_MAX
#define LEAT_MAX_SOURCES 64
#define LEAT_RANK_OF_LAUNCHER UINT32_MAX

typedef struct leat_config {
    /* ---- where from ---- */
    const char *source;       /* a folder of class folders, of files or of shards; a file, glob or brace range; http(s)://;
                                 "@list" (a path or URL a line; "@-" is stdin). Required, or `sources`. See docs/guide.md */
    const leat_source *sources; /* several that are mixed, in the place of `source`; NULL: none */
    size_t source_count;      /* at most LEAT_MAX_SOURCES */
    const char *index;        /* counts and places of the samples of shards, by which they are read in any order, ranks share them
                                 and a state is restored at once: a file of `leat index`, a WebDataset index (wids JSON), DALI's
                                 .idx file, or a folder with any of them; "none"; NULL: leat.index beside the shards, if it is there
                                 (a server is asked for it only where samples have to be counted, or with `resume`) */
    const char *ca_file;      /* PEM file with the certificate authorities to trust; NULL: the system's */
    const char *const *headers; /* extra request headers, "Name: value", sent to the source's own hosts only, never on to
                                 another after a redirect */
    size_t header_count;

    const char *cache;        /* directory that shards of HTTP(S) sources are kept in while they stream: each is downloaded once by
                                 all processes of the machine that share it, and served from there afterwards. Made if it is
                                 not there; has to be of this user's own. Objects under one URL are taken to stay the same
                                 (leat_cache_remove). Loose files are not kept. A full disk only means streaming. NULL: none */
    uint64_t cache_limit;     /* bytes on disk of all in it: the least recently used shards go first, those in use never. A shard
                                 that is larger ends the run (LEAT_EINVAL; in leat_open, where an index tells its size). 0: 90% of
                                 what the disk has free or the cache has taken already; a shard that is larger streams */

    /* ---- what ---- */
    const leat_field *fields; /* what becomes which tensor; NULL: "image" (jpg;jpeg;png...) and an optional "label" (cls) */
    size_t field_count;
    leat_image image;
    uint32_t batch_size;      /* rows of a global batch; 1..65536; 0: 256. Each of `world` ranks gets its share of them: batch_size
                                 / world rows, the first batch_size % world ranks one more */
    leat_remainder remainder; /* of an epoch; default LEAT_REMAINDER_SHORT */
    leat_map_fn map;          /* custom stage; NULL: none */
    void *map_user;           /* borrows, until leat_close returns */

    /* ---- order ---- */
    leat_order order;
    uint64_t seed;            /* any number; the same seed, data and settings give the same batches */
    uint64_t epoch;           /* number of the first epoch */
    uint64_t step;            /* and the global batch to begin with in it */
    uint64_t epochs;          /* how many, from `epoch` on; 0: one after another without end. leat_next says LEAT_END after each */
    const char *resume;       /* a state of leat_save: goes on where that was, in the place of `epoch` and `step`; NULL: none */
    uint64_t limit;           /* samples an epoch, the first of its order; 0: all */
    uint64_t epoch_samples;   /* length of an epoch of all ranks together, for endless or over-sampled data: the source is read
                                 pass after pass, each in another order, and an epoch goes on where the one before ended; 0: the
                                 source once (mixed sources: as many as they have together). Needs counts, as several ranks do */
    uint32_t world;           /* ranks that share the data; 0: rank and world of the launcher (torchrun, Open MPI, PMI, Slurm; by
                                 their environment variables), else 1. Over 1 the samples have to be counted: see `index` */
    uint32_t rank;            /* of this process, 0..world - 1, if world is given; LEAT_RANK_OF_LAUNCHER: the launcher's (also of a
                                 Kubernetes indexed job, which knows no world) */
    uint32_t lanes;           /* shards read side by side; 1..256; 0: 16, at most the number of shards */
    uint32_t shuffle_window;  /* samples of a lane that are permuted together; 1: none; 0: 32.
                                 Without an index, a window that memory_limit cannot hold is cut (leat_statistics.windows_cut) */

    /* ---- failures ---- */
    leat_on_error on_error;
    uint64_t max_errors;      /* failures after which the loader stops; 0: 100; LEAT_UNLIMITED: never */

    /* ---- resources ---- */
    uint64_t memory_limit;    /* bytes for everything in flight, batches included; 0: 1 GiB; at least 32 MiB */
    uint32_t threads;         /* pool threads for decoding; 1..1024; 0: one for each CPU this process may use */
    uint32_t io_threads;      /* threads that wait for disks; 1..256; 0: one a CPU, 2 to 4 */
    uint32_t connections;     /* transfers at a time; 1..1024; 0: 32 */
    uint32_t prefetch;        /* ready batches kept for the consumer; 1..16; 0: 2. Fewer where memory_limit says so */

    /* ---- limits on what strangers' data may ask for ---- */
    uint64_t max_image_pixels;  /* width * height of a file; 0: 100,000,000 */
    uint64_t max_sample_bytes;  /* what a sample may span in its shard, or a loose file; 0: what a lane's share of memory_limit can
                                   hold */
    uint64_t max_object_bytes;  /* one shard or file as it is stored or sent; 0: 64 GiB */
    uint64_t max_unpacked_bytes;/* one shard after decompression; 0: 1 TiB. Also refused: more than 1000 times its packed size
                                   beyond the first 16 MiB */

    /* ---- network ---- */
    uint32_t retries;         /* attempts at a transfer without a byte of progress; 1..100; 0: 5 */
    uint32_t connect_timeout_ms; /* 0: 10,000 */
    uint32_t stall_timeout_ms;   /* under 1 KiB/s for so long while leat is reading: cut and tried again; 0: 30,000 */
    uint32_t max_retry_after_ms; /* the longest Retry-After that is waited for, and the longest that a server that answers nothing
                                    but 429 and 503 is put up with, beyond its retries, but 30,000 at most; 0: 120,000 */
    uint32_t redirects;       /* hops of one request; 0: 5 */
} leat_config;

#define LEAT_CONFIG_INIT {0}

#ifdef __cplusplus
}
#endif
#endif
