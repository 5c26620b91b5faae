"""tfdata.py - TensorFlow's tf.data over TFRecords.

Set up:  as in TensorFlow's performance guide and its ImageNet example: parallel interleave of the record files, a
         shuffle buffer, map in parallel, prefetch(AUTOTUNE); sample_distorted_bounding_box with decode_and_crop_jpeg,
         which decodes only the crop; tf.image.resize bilinear without antialiasing, as in that example
         (antialias=True is there, and slower). As many threads as cores. CHW, as everybody's here, costs it a
         transposition."""
import os
import shutil

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import common  # noqa: E402

import tensorflow as tf  # noqa: E402

FILES = 16
FEATURES = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}


def prepare(options):
    out = common.converted(options, "tfrecord")
    if os.path.exists(out):
        return
    shutil.rmtree(out + ".part", ignore_errors=True)
    os.makedirs(out + ".part")
    writers = [tf.io.TFRecordWriter(f"{out}.part/train-{i:05d}-of-{FILES:05d}") for i in range(FILES)]
    for number, (path, label) in enumerate(common.samples(options)):
        feature = {"image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[common.read(path)])),
                   "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label]))}
        writers[number % FILES].write(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    for writer in writers:
        writer.close()
    os.rename(out + ".part", out)


def random_crop(data):
    """As in TensorFlow's ImageNet example: the crop is chosen from the header, and only it is decoded."""
    shape = tf.io.extract_jpeg_shape(data)
    begin, size, _ = tf.image.sample_distorted_bounding_box(
        shape, tf.zeros([1, 0, 4]), min_object_covered=0.0, aspect_ratio_range=(3 / 4, 4 / 3), area_range=(0.08, 1.0),
        max_attempts=10, use_image_if_no_bounding_boxes=True)
    window = tf.stack([begin[0], begin[1], size[0], size[1]])
    return tf.image.random_flip_left_right(tf.image.decode_and_crop_jpeg(data, window, channels=3))


def pixels(record, work):
    example = tf.io.parse_single_example(record, FEATURES)
    data = example["image"]
    if work in common.RANDOM_CROP:
        image = random_crop(data)
    elif work == "png":
        image = tf.io.decode_png(data, channels=3)
    else:
        image = tf.io.decode_jpeg(data, channels=3)
    image = tf.image.resize(image, (common.SIZE, common.SIZE), method="bilinear")
    image = (image - tf.constant(common.MEAN) * 255) / (tf.constant(common.STD) * 255)
    return tf.transpose(image, (2, 0, 1)), example["label"]


def batches(options):
    settings = tf.data.Options()
    settings.threading.private_threadpool_size = options.threads
    settings.deterministic = False
    files = tf.data.Dataset.list_files(common.converted(options, "tfrecord") + "/train-*", shuffle=True)
    dataset = (files.interleave(tf.data.TFRecordDataset, cycle_length=FILES, num_parallel_calls=tf.data.AUTOTUNE)
               .shuffle(1000)
               .map(lambda record: pixels(record, options.work), num_parallel_calls=tf.data.AUTOTUNE)
               .batch(options.batch).prefetch(tf.data.AUTOTUNE).with_options(settings))
    for _ in range(options.epochs):
        for images, _labels in dataset:
            yield images


if __name__ == "__main__":
    common.main(batches, prepare, cannot={"http": "reads local files and gs; HTTP needs tensorflow-io"})
