/* jpegcrop.c - which columns libjpeg is asked for, so that the wanted ones are what they are in the whole image.
 *
 * What:    a part's columns, one more on each side, and to the left as far as the edge of a block; or all of them.
 * Why so:  libjpeg upsamples a crop as if its edges were the image's: a sample's neighbour beyond them is the sample
 *          itself, which makes other pixels of the outermost column, and of no other. A part of few columns gets more,
 *          since below 3 samples a component is upsampled otherwise. Two kinds of images cannot be cropped
 *          (libjpeg-turbo 2.1.5). Found, and shown to be enough, by random parts against the
 *          whole (test_jpeg.c).
 * Threads: any.
 * Not here: rows (jpeg.c). */
#include "stages/jpegcrop.h"

enum { LEAST_COLUMNS = 16 }; /* decoded: 4 samples of a component with a quarter of the columns */

#if JPEG_LIB_VERSION >= 70
#define SCALED_SIZE(of) ((of)->DCT_h_scaled_size)
#define LEAST_SCALED_SIZE(of) ((of)->min_DCT_h_scaled_size)
#else
#define SCALED_SIZE(of) ((of)->DCT_scaled_size)
#define LEAST_SCALED_SIZE(of) ((of)->min_DCT_scaled_size)
#endif

/* False where jpeg_crop_scanline counts a component's samples wrongly: it forgets that a component may be decoded at
 * twice the scale of the others and be upsampled all the same (4 x 2 sampling, reduced). */
static bool can_crop(const struct jpeg_decompress_struct *codec)
{
    for (int i = 0; i < codec->num_components; i++) {
        const jpeg_component_info *component = &codec->comp_info[i];
        const int size = SCALED_SIZE(component), least = LEAST_SCALED_SIZE(codec);
        if (size != least && (component->h_samp_factor * size != codec->max_h_samp_factor * least ||
                              component->v_samp_factor * size != codec->max_v_samp_factor * least))
            return false;
    }
    return true;
}

/* True if libjpeg guesses at coefficients that no scan gave: it looks at the blocks around, across the crop's edges. */
static bool is_smoothed(const struct jpeg_decompress_struct *codec)
{
    if (!codec->progressive_mode || !codec->do_block_smoothing) return false;
    for (int i = 0; i < codec->num_components; i++) {
        for (int k = 1; k < DCTSIZE2; k++) {
            if (codec->coef_bits[i][k] != 0) return true;
        }
    }
    return false;
}

void leat__jpeg_crop(j_decompress_ptr codec, leat__image_part *part)
{
    const JDIMENSION margin = part->width < LEAST_COLUMNS ? LEAST_COLUMNS : 1;
    JDIMENSION from = part->x > margin ? part->x - margin : 0;
    JDIMENSION width = codec->output_width - from, wanted = part->x - from + part->width + margin;
    if (wanted < width) width = wanted;
    if (!can_crop(codec) || is_smoothed(codec)) from = 0, width = codec->output_width;
    jpeg_crop_scanline(codec, &from, &width); /* moves `from` left to the block's edge */
    part->x = from;
    part->width = width;
}

void leat__jpeg_crop_blocks(const struct jpeg_decompress_struct *codec, const leat__image_part *part,
                            leat__huffman *huffman)
{
    if (codec->num_components == 1) return; /* an MCU is one block then, whatever the sampling says */
    const uint32_t across = (uint32_t)(codec->max_h_samp_factor * LEAST_SCALED_SIZE(codec));
    leat__huffman_crop(huffman, part->x / across, (part->x + part->width - 1) / across);
}
