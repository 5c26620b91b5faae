"""dali.py - NVIDIA DALI, its CPU operators only, over class folders.

Set up:  as in its ImageNet example with dali_cpu: readers.file with random_shuffle, decoders.image_random_crop, resize
         with the triangular filter (antialiased bilinear), crop_mirror_normalize to float CHW; num_threads = cores."""
import math

import common

from nvidia.dali import fn, pipeline_def, types


@pipeline_def
def pipeline(root, work):
    encoded, labels = fn.readers.file(file_root=root, random_shuffle=True, name="reader")
    mirror = 0
    if work in common.RANDOM_CROP:
        images = fn.decoders.image_random_crop(encoded, device="cpu", output_type=types.RGB, random_area=(0.08, 1.0),
                                               random_aspect_ratio=(3 / 4, 4 / 3), num_attempts=10)
        mirror = fn.random.coin_flip(probability=0.5)
    else:
        images = fn.decoders.image(encoded, device="cpu", output_type=types.RGB)
    images = fn.resize(images, resize_x=common.SIZE, resize_y=common.SIZE, interp_type=types.INTERP_TRIANGULAR)
    images = fn.crop_mirror_normalize(images, dtype=types.FLOAT, output_layout="CHW", mirror=mirror,
                                      mean=[255 * x for x in common.MEAN], std=[255 * x for x in common.STD])
    return images, labels


def batches(options):
    loader = pipeline(common.folder(options), options.work, batch_size=options.batch, num_threads=options.threads,
                      device_id=None)
    loader.build()
    size = loader.epoch_size("reader")
    for _ in range(math.ceil(options.epochs * size / options.batch)):
        images, _labels = loader.run()
        yield images.as_array()


if __name__ == "__main__":
    common.main(batches, cannot={"http": "reads local files and s3, no plain HTTP"})
