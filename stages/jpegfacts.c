/* jpegfacts.c - what is known about libjpeg: what its messages mean for us, and how much memory it takes.
 *
 * Threads: any; pure functions.
 * Not here: how messages come and what is done about them (jpeg.c). */
#include "stages/jpegfacts.h"

#include <jerror.h>

leat_code leat__jpeg_code_of(int message)
{
    switch (message) {
    case JWRN_JPEG_EOF:
    case JERR_INPUT_EOF:
    case JERR_INPUT_EMPTY: return LEAT_ETRUNCATED;
    case JERR_OUT_OF_MEMORY: return LEAT_ENOMEM;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_EMPTY_IMAGE: /* the height comes after the first scan (DNL) */
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED: return LEAT_EUNSUPPORTED;
    case JERR_IMAGE_TOO_BIG:
    case JERR_NO_BACKING_STORE: /* over max_memory_to_use */
    case JERR_WIDTH_OVERFLOW: return LEAT_ELIMIT;
    default: return LEAT_ECORRUPT;
    }
}

bool leat__jpeg_is_harmless(int message)
{
    return message == JWRN_EXTRANEOUS_DATA || message == JWRN_ADOBE_XFORM || message == JWRN_JFIF_MAJOR ||
           message == JWRN_NOT_SEQUENTIAL || message == JWRN_BOGUS_ICC;
}

uint64_t leat__jpeg_coefficient_bytes(j_decompress_ptr codec)
{
    if (!jpeg_has_multiple_scans(codec)) return 0;
    uint64_t bytes = 0;
    for (int i = 0; i < codec->num_components; i++) {
        const jpeg_component_info *component = &codec->comp_info[i];
        uint64_t h = (uint64_t)component->h_samp_factor, v = (uint64_t)component->v_samp_factor;
        uint64_t across = (component->width_in_blocks + h - 1) / h * h;
        uint64_t down = (component->height_in_blocks + v - 1) / v * v;
        bytes += across * down * sizeof(JBLOCK);
    }
    return bytes;
}
