/* tensors.c - what is in a batch: names, types and shapes of its tensors, and where its rows came from.
 *
 *     tensors examples/data/photos
 *     tensors 'https://data.example/train-{000000..000015}.tar' */
#include <stdio.h>
#include <stdlib.h>

#include <leat/leat.h>

static void print_tensor(const leat_tensor *tensor)
{
    printf("  %-8s %-8s [", tensor->name, leat_dtype_name(tensor->dtype));
    for (int i = 0; i < tensor->ndim; i++) printf("%s%lld", i ? ", " : "", (long long)tensor->shape[i]);
    printf("]%s  %zu bytes", tensor->offsets ? " ragged" : "", tensor->bytes);
    if (tensor->layout) printf("  %s", tensor->layout == LEAT_CHW ? "CHW" : "HWC");
    printf("\n");
}

static void print_batch(const leat_batch *batch)
{
    size_t rows = leat_batch_rows(batch);
    printf("batch %llu: %zu rows, %zu missing\n", (unsigned long long)leat_batch_step(batch), rows,
           leat_batch_missing(batch));
    const leat_tensor *tensor;
    for (size_t i = 0; (tensor = leat_batch_tensor_at(batch, i)); i++) print_tensor(tensor);

    const leat_tensor *labels = leat_batch_tensor(batch, "label");
    for (size_t row = 0; row < rows && row < 4; row++) {
        long long label = labels ? (long long)((const int64_t *)labels->data)[row] : -1;
        printf("  row %zu: %s, label %lld, from %s\n", row, leat_batch_key(batch, row), label,
               leat_batch_shard(batch, row));
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: tensors SOURCE\n");
        return EXIT_FAILURE;
    }
    leat_config config = LEAT_CONFIG_INIT;
    config.source = argv[1];
    config.batch_size = 16;
    config.epochs = 1;
    config.image = (leat_image){.height = 224, .width = 224, .crop = LEAT_CROP_CENTER, .dtype = LEAT_FLOAT32};

    leat_loader *loader;
    leat_batch *batch;
    leat_error error;
    leat_code code = leat_open(&config, &loader, &error);
    if (code == LEAT_OK) code = leat_next(loader, &batch, &error);
    if (code == LEAT_OK) {
        print_batch(batch);
        leat_release(batch);
    } else {
        fprintf(stderr, "tensors: %s\n", code == LEAT_END ? "the source has no samples" : error.message);
    }
    leat_close(loader);
    return code == LEAT_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}
