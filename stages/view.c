/* view.c - the settings of an image field, checked and completed; and the part of each image that is taken.
 *
 * What:    leat__image_defaults runs once a loader; leat__view_choose once a sample, and depends on nothing but its
 *          arguments.
 * Why so:  a view is a box in source pixels, so every kind of crop ends in the one resize of resize.c and no pixel
 *          outside of what the box needs is computed. Sizes follow torchvision's integer arithmetic and Python's round
 *          (half to even), so a model trained there meets the same crops here.
 * Threads: any; pure functions.
 * Invariants: 0 <= x, 0 < width, x + width <= the image's width; the same down. The host's rounding mode is to nearest.
 * Not here: EXIF orientation (transform.c): views are chosen on the upright image. */
#include "stages/view.h"

#include <assert.h>
#include <math.h>

#include "pipeline/failure.h"

#define LONGEST_SIDE 65535 /* of the output, px: JPEG's own limit */
#define CROP_TRIES 10      /* torchvision's */

static leat_code check_range(const char *name, float range[2], float low, float high, float most, leat_error *error)
{
    if (range[0] == 0 && range[1] == 0) {
        range[0] = low;
        range[1] = high;
    }
    if (range[0] > 0 && range[0] <= range[1] && range[1] <= most) return LEAT_OK;
    return leat__fail(error, LEAT_EINVAL, 0, "image.%s is {%g, %g}: it must be {low, high} with 0 < low <= high <= %g",
                      name, (double)range[0], (double)range[1], (double)most);
}

static leat_code check_normalize(leat_image *image, leat_error *error)
{
    for (int i = 0; i < 3; i++) {
        if (image->std[i] == 0) image->std[i] = 1;
        if (!isfinite(image->mean[i]))
            return leat__fail(error, LEAT_EINVAL, 0, "image.mean[%d] is %g: it must be a finite number", i,
                              (double)image->mean[i]);
        if (!isfinite(image->std[i]) || image->std[i] < 0)
            return leat__fail(error, LEAT_EINVAL, 0, "image.std[%d] is %g: it must be positive", i,
                              (double)image->std[i]);
        if (image->dtype == LEAT_UINT8 && (image->mean[i] != 0 || image->std[i] != 1))
            return leat__fail(error, LEAT_EINVAL, 0,
                              "image.mean and image.std need image.dtype float32 or float16, not uint8");
    }
    return LEAT_OK;
}

static leat_code check_choices(const leat_image *image, leat_error *error)
{
    if (image->crop != LEAT_CROP_NONE && image->crop != LEAT_CROP_CENTER && image->crop != LEAT_CROP_RANDOM_RESIZED)
        return leat__fail(error, LEAT_EINVAL, 0, "image.crop is %d: it must be one of LEAT_CROP_*", (int)image->crop);
    if (image->resample != LEAT_RESAMPLE_BILINEAR && image->resample != LEAT_RESAMPLE_BICUBIC)
        return leat__fail(error, LEAT_EINVAL, 0,
                          "image.resample is %d: it must be LEAT_RESAMPLE_BILINEAR or LEAT_RESAMPLE_BICUBIC",
                          (int)image->resample);
    if (image->decode != LEAT_DECODE_CROP && image->decode != LEAT_DECODE_WHOLE)
        return leat__fail(error, LEAT_EINVAL, 0, "image.decode is %d: it must be LEAT_DECODE_CROP or LEAT_DECODE_WHOLE",
                          (int)image->decode);
    return LEAT_OK;
}

static leat_code check_format(leat_image *image, leat_error *error)
{
    if (image->dtype != LEAT_UINT8 && image->dtype != LEAT_FLOAT32 && image->dtype != LEAT_FLOAT16)
        return leat__fail(error, LEAT_EINVAL, 0,
                          "image.dtype is %d: it must be LEAT_UINT8, LEAT_FLOAT32 or LEAT_FLOAT16", (int)image->dtype);
    if (image->layout == LEAT_LAYOUT_AUTO) image->layout = image->dtype == LEAT_UINT8 ? LEAT_HWC : LEAT_CHW;
    if (image->layout != LEAT_HWC && image->layout != LEAT_CHW)
        return leat__fail(error, LEAT_EINVAL, 0, "image.layout is %d: it must be LEAT_HWC or LEAT_CHW",
                          (int)image->layout);
    return check_normalize(image, error);
}

leat_code leat__image_defaults(leat_image *image, leat_error *error)
{
    if (!image->height) image->height = 224;
    if (!image->width) image->width = image->height;
    if (image->height > LONGEST_SIDE || image->width > LONGEST_SIDE)
        return leat__fail(error, LEAT_EINVAL, 0, "image.height and image.width are %u and %u: each must be 1..%d",
                          image->height, image->width, LONGEST_SIDE);
    const uint32_t longer = image->height > image->width ? image->height : image->width;
    if (!image->resize_shorter) image->resize_shorter = longer * 256 / 224;
    if (!image->resize_shorter) image->resize_shorter = 1;
    if (image->resize_shorter > 2 * LONGEST_SIDE)
        return leat__fail(error, LEAT_EINVAL, 0, "image.resize_shorter is %u: it must be 1..%d", image->resize_shorter,
                          2 * LONGEST_SIDE);
    leat_code code = check_choices(image, error);
    if (code == LEAT_OK) code = check_range("scale", image->scale, 0.08f, 1, 1, error);
    if (code == LEAT_OK) code = check_range("ratio", image->ratio, 3.0f / 4.0f, 4.0f / 3.0f, 1000, error);
    if (code == LEAT_OK) code = check_format(image, error);
    return code;
}

size_t leat__image_row_bytes(const leat_image *image)
{
    assert(image->height && image->width);
    const size_t element = image->dtype == LEAT_UINT8 ? 1 : image->dtype == LEAT_FLOAT16 ? 2 : 4;
    return (size_t)image->height * image->width * (image->alpha ? 4 : 3) * element;
}

/* The centre crop that takes the tries' place: as much of the image as the ratios allow. */
static void fall_back(const leat_image *image, uint32_t width, uint32_t height, leat__view *view)
{
    const double ratio = (double)width / height;
    double w = width, h = height;
    if (ratio < image->ratio[0]) h = rint(w / image->ratio[0]);
    else if (ratio > image->ratio[1]) w = rint(h * image->ratio[1]);
    view->width = fmin(fmax(w, 1), width);
    view->height = fmin(fmax(h, 1), height);
    view->x = floor((width - view->width) / 2);
    view->y = floor((height - view->height) / 2);
}

static void random_resized(const leat_image *image, uint32_t width, uint32_t height, const leat__random_key *key,
                           leat__view *view)
{
    leat__random random = {.key = *key};
    random.key.operation = LEAT__DRAW_CROP;
    const double area = (double)width * height;
    const double log_low = log(image->ratio[0]), log_high = log(image->ratio[1]);
    for (int i = 0; i < CROP_TRIES; i++) {
        const double part = area * leat__random_uniform(&random, image->scale[0], image->scale[1]);
        const double ratio = exp(leat__random_uniform(&random, log_low, log_high));
        const double w = rint(sqrt(part * ratio)), h = rint(sqrt(part / ratio));
        if (w < 1 || w > width || h < 1 || h > height) continue;
        view->width = w;
        view->height = h;
        view->y = (double)leat__random_below(&random, height - (uint64_t)h + 1);
        view->x = (double)leat__random_below(&random, width - (uint64_t)w + 1);
        return;
    }
    fall_back(image, width, height, view);
}

/* One side of the centre crop: `crop` px from the middle of a side that was resized from `length` to `resized` px. */
static void centre(uint32_t length, uint64_t resized, uint32_t crop, double *start, double *extent)
{
    *start = 0;
    *extent = length;
    if (crop >= resized) return;
    const double scale = (double)length / (double)resized;
    *start = rint((double)(resized - crop) / 2) * scale;
    *extent = crop * scale;
    if (*start + *extent > length) *extent = length - *start;
}

static void centre_crop(const leat_image *image, uint32_t width, uint32_t height, leat__view *view)
{
    uint64_t resized_width = image->resize_shorter, resized_height = image->resize_shorter;
    if (width <= height) resized_height = resized_height * height / width;
    else resized_width = resized_width * width / height;
    centre(width, resized_width, image->width, &view->x, &view->width);
    centre(height, resized_height, image->height, &view->y, &view->height);
}

void leat__view_choose(const leat_image *image, uint32_t width, uint32_t height, const leat__random_key *key,
                       leat__view *view)
{
    assert(width > 0 && height > 0);
    *view = (leat__view){.width = width, .height = height};
    if (image->crop == LEAT_CROP_RANDOM_RESIZED) random_resized(image, width, height, key, view);
    if (image->crop == LEAT_CROP_CENTER) centre_crop(image, width, height, view);
    if (image->flip) {
        leat__random_key flip = *key;
        flip.operation = LEAT__DRAW_FLIP;
        view->flip = leat__random_at(&flip, 0) >> 63;
    }
    assert(view->x >= 0 && view->width > 0 && view->x + view->width <= width);
    assert(view->y >= 0 && view->height > 0 && view->y + view->height <= height);
}
