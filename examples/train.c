/* train.c - the shortest useful training loop: softmax regression on tiny images, by stochastic gradient descent.
 *
 *     train examples/data/photos [EPOCHS]
 *
 * The label is the class folder's number (or the shard's .cls field). Augmentation draws anew in every epoch. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include <leat/leat.h>

enum { SIDE = 16, INPUTS = 3 * SIDE * SIDE, CLASSES = 1000 };

static float weights[CLASSES][INPUTS + 1]; /* the last one is the bias */

/* Sets p[] to the probability of each class; returns the most likely one. */
static int predict(const float *x, int classes, float *p)
{
    int best = 0;
    float sum = 0;
    for (int c = 0; c < classes; c++) {
        p[c] = weights[c][INPUTS];
        for (int i = 0; i < INPUTS; i++) p[c] += weights[c][i] * x[i];
        if (p[c] > p[best]) best = c;
    }
    float highest = p[best];
    for (int c = 0; c < classes; c++) sum += p[c] = expf(p[c] - highest);
    for (int c = 0; c < classes; c++) p[c] /= sum;
    return best;
}

/* One step of gradient descent on one sample; returns its loss, the cross entropy. */
static float learn(const float *x, int label, int classes, float rate, int *right)
{
    float p[CLASSES];
    *right += predict(x, classes, p) == label;
    float loss = -logf(p[label] + 1e-9f);
    for (int c = 0; c < classes; c++) {
        float step = rate * (p[c] - (c == label));
        for (int i = 0; i < INPUTS; i++) weights[c][i] -= step * x[i];
        weights[c][INPUTS] -= step;
    }
    return loss;
}

int main(int argc, char **argv)
{
    if (argc < 2) return fprintf(stderr, "usage: train SOURCE [EPOCHS]\n"), EXIT_FAILURE;
    leat_config config = LEAT_CONFIG_INIT;
    config.source = argv[1];
    config.batch_size = 16;
    config.epochs = argc > 2 ? strtoull(argv[2], NULL, 10) : 20;
    config.image = (leat_image){.height = SIDE, .crop = LEAT_CROP_RANDOM_RESIZED, .scale = {0.6f, 1}, .flip = true,
                                .orient = true, .dtype = LEAT_FLOAT32, .mean = {0.5f, 0.5f, 0.5f},
                                .std = {0.5f, 0.5f, 0.5f}};
    leat_loader *loader;
    leat_error error;
    leat_code code = leat_open(&config, &loader, &error);
    int classes = 1;
    for (uint64_t epoch = 0; code == LEAT_OK && epoch < config.epochs; epoch++) {
        leat_batch *batch;
        double loss = 0;
        int samples = 0, right = 0;
        while ((code = leat_next(loader, &batch, &error)) == LEAT_OK) {
            const float *images = leat_batch_tensor(batch, "image")->data;
            const int64_t *labels = leat_batch_tensor(batch, "label")->data;
            for (size_t row = 0; row < leat_batch_rows(batch); row++) {
                if (labels[row] < 0 || labels[row] >= CLASSES) continue; /* no label, or more classes than fit here */
                int label = (int)labels[row];
                if (label >= classes) classes = label + 1;
                loss += learn(images + row * INPUTS, label, classes, 0.003f, &right);
                samples++;
            }
            leat_release(batch);
        }
        if (code != LEAT_END) break;
        printf("epoch %llu: loss %.3f, %d of %d right\n", (unsigned long long)epoch, loss / (samples ? samples : 1),
               right, samples);
        code = LEAT_OK;
    }
    if (code) fprintf(stderr, "train: %s\n", error.message);
    leat_close(loader);
    return code ? EXIT_FAILURE : EXIT_SUCCESS;
}
