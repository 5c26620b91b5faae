/* reference_resize.c - resizes that are easy to believe (reference_resize.h). */
#include "tests/reference_resize.h"

#include <math.h>
#include <stdlib.h>

#define BITS 22

/* For each output: its first source pixel, how many, and their weights. */
typedef struct table {
    uint32_t most;
    uint32_t *start, *taps;
    double *weights; /* [size][most] */
} table;

double reference_filter(double x, bool bicubic)
{
    x = fabs(x);
    if (!bicubic) return x < 1 ? 1 - x : 0;
    const double a = -0.5;
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

static table make_table(uint32_t length, double begin, double end, uint32_t size, bool bicubic)
{
    const float from = (float)begin, to = (float)end;
    const double scale = (double)(to - from) / size, wider = scale < 1 ? 1 : scale, support = wider * (bicubic ? 2 : 1);
    table t = {.most = (uint32_t)ceil(support) * 2 + 1};
    t.start = malloc(size * sizeof(*t.start));
    t.taps = malloc(size * sizeof(*t.taps));
    t.weights = malloc((size_t)size * t.most * sizeof(*t.weights));
    if (!t.start || !t.taps || !t.weights) abort();
    for (uint32_t i = 0; i < size; i++) {
        const double centre = from + (i + 0.5) * scale;
        const double low = centre - support + 0.5, high = centre + support + 0.5;
        double *weights = t.weights + (size_t)i * t.most, sum = 0;
        t.start[i] = low < 0 ? 0 : (uint32_t)low;
        t.taps[i] = (high > length ? length : (uint32_t)high) - t.start[i];
        for (uint32_t k = 0; k < t.taps[i]; k++)
            sum += weights[k] = reference_filter((k + t.start[i] - centre + 0.5) * (1 / wider), bicubic);
        for (uint32_t k = 0; k < t.taps[i]; k++)
            if (sum != 0) weights[k] /= sum;
    }
    return t;
}

static void free_table(table *t)
{
    free(t->start);
    free(t->taps);
    free(t->weights);
}

static void make_tables(const reference_job *job, table *across, table *down)
{
    *across = make_table(job->width, job->x, job->x + job->box_width, job->to_width, job->bicubic);
    *down = make_table(job->height, job->y, job->y + job->box_height, job->to_height, job->bicubic);
}

/* ---- Pillow ---- */

/* One line in fixed point; step: bytes from pixel to pixel. */
static void pillow_line(const table *t, uint32_t size, const uint8_t *in, size_t step, uint8_t *out, size_t out_step)
{
    for (uint32_t i = 0; i < size; i++) {
        const double *weights = t->weights + (size_t)i * t->most;
        int32_t sum = 1 << (BITS - 1);
        for (uint32_t k = 0; k < t->taps[i]; k++) {
            const double weight = weights[k] * (1 << BITS);
            sum += in[(t->start[i] + k) * step] * (int32_t)(weight < 0 ? weight - 0.5 : weight + 0.5);
        }
        sum >>= BITS;
        out[i * out_step] = (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}

void reference_pillow(const reference_job *job, uint8_t *out)
{
    const size_t channels = job->channels, line = job->width * channels, to_line = job->to_width * channels;
    table across, down;
    make_tables(job, &across, &down);
    uint8_t *between = malloc(to_line * job->height);
    if (!between) abort();
    for (size_t c = 0; c < channels; c++) {
        for (size_t y = 0; y < job->height; y++)
            pillow_line(&across, job->to_width, job->in + y * line + c, channels, between + y * to_line + c, channels);
        for (size_t x = 0; x < job->to_width; x++)
            pillow_line(&down, job->to_height, between + x * channels + c, to_line, out + x * channels + c, to_line);
    }
    free(between);
    free_table(&across);
    free_table(&down);
}

/* ---- exact ---- */

void reference_exact(const reference_job *job, double *out)
{
    const size_t channels = job->channels, line = job->width * channels;
    table across, down;
    make_tables(job, &across, &down);
    double *row = malloc(line * sizeof(*row));
    if (!row) abort();
    for (uint32_t y = 0; y < job->to_height; y++) {
        for (size_t i = 0; i < line; i++) {
            row[i] = 0;
            for (uint32_t k = 0; k < down.taps[y]; k++)
                row[i] += down.weights[(size_t)y * down.most + k] * job->in[(down.start[y] + k) * line + i];
        }
        for (size_t x = 0; x < job->to_width; x++)
            for (size_t c = 0; c < channels; c++, out++) {
                *out = 0;
                for (uint32_t k = 0; k < across.taps[x]; k++)
                    *out += across.weights[x * across.most + k] * row[(across.start[x] + k) * channels + c];
            }
    }
    free(row);
    free_table(&across);
    free_table(&down);
}

/* ---- plain ---- */

static float *float_weights(const table *t, uint32_t size)
{
    float *weights = malloc((size_t)size * t->most * sizeof(*weights));
    if (!weights) abort();
    for (size_t i = 0; i < (size_t)size * t->most; i++)
        weights[i] = i % t->most < t->taps[i / t->most] ? (float)t->weights[i] : 0;
    return weights;
}

static void plain_across(const table *t, const float *weights, const uint8_t *in, uint32_t to_width, float *out)
{
    for (uint32_t x = 0; x < to_width; x++, out += 3) {
        const uint8_t *pixel = in + (size_t)t->start[x] * 3;
        const float *weight = weights + (size_t)x * t->most;
        float r = 0, g = 0, b = 0;
        for (uint32_t k = 0; k < t->taps[x]; k++, pixel += 3) {
            r += weight[k] * pixel[0];
            g += weight[k] * pixel[1];
            b += weight[k] * pixel[2];
        }
        out[0] = r;
        out[1] = g;
        out[2] = b;
    }
}

static void plain_normalize(const float *row, uint32_t width, size_t plane, bool flip, const float mean[3],
                            const float std[3], float *out)
{
    for (size_t c = 0; c < 3; c++, row++, out += plane) {
        const float times = 1 / (255 * std[c]), plus = -mean[c] / std[c];
        if (flip)
            for (size_t x = 0; x < width; x++) out[width - 1 - x] = row[3 * x] * times + plus;
        else
            for (size_t x = 0; x < width; x++) out[x] = row[3 * x] * times + plus;
    }
}

void reference_plain(const reference_job *job, bool flip, const float mean[3], const float std[3], float *out)
{
    const size_t line = (size_t)job->to_width * 3, plane = (size_t)job->to_width * job->to_height;
    table across, down;
    make_tables(job, &across, &down);
    float *across_weights = float_weights(&across, job->to_width), *down_weights = float_weights(&down, job->to_height);
    const uint32_t first = down.start[0], end = down.start[job->to_height - 1] + down.taps[job->to_height - 1];
    float *between = malloc((end - first) * line * sizeof(float)), *row = malloc(line * sizeof(float));
    if (!between || !row) abort();
    for (uint32_t y = first; y < end; y++)
        plain_across(&across, across_weights, job->in + (size_t)y * job->width * 3, job->to_width,
                     between + (y - first) * line);
    for (uint32_t y = 0; y < job->to_height; y++) {
        for (size_t i = 0; i < line; i++) row[i] = 0;
        for (uint32_t k = 0; k < down.taps[y]; k++) {
            const float *source = between + (down.start[y] + k - first) * line;
            const float weight = down_weights[(size_t)y * down.most + k];
            for (size_t i = 0; i < line; i++) row[i] += weight * source[i];
        }
        plain_normalize(row, job->to_width, plane, flip, mean, std, out + (size_t)y * job->to_width);
    }
    free(between);
    free(row);
    free(across_weights);
    free(down_weights);
    free_table(&across);
    free_table(&down);
}
