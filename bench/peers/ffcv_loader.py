"""ffcv_loader.py - FFCV over its own .beton file.

Set up:  RandomResizedCropRGBImageDecoder, flip, NormalizeImage to float32, ToTensor, ToTorchImage, num_workers =
         cores, OrderOption.RANDOM with os_cache, as its ImageNet example. Its writer takes pixels only: the JPEGs are
         encoded again, at quality 90 (the default) as the originals are. It has no decoder that only resizes, so
         `full` is its base class for crops with the whole image as the crop."""
import os

import numpy
import common
from torchvision_work import decode

from ffcv.fields import IntField, RGBImageField
from ffcv.fields.decoders import IntDecoder, RandomResizedCropRGBImageDecoder
from ffcv.fields.rgb_image import ResizedCropRGBImageDecoder
from ffcv.loader import Loader, OrderOption
from ffcv.transforms import NormalizeImage, RandomHorizontalFlip, ToTensor, ToTorchImage
from ffcv.writer import DatasetWriter


class Pictures:
    def __init__(self, options):
        self.samples = list(common.samples(options))

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        path, label = self.samples[index]
        return decode(common.read(path)), label


def prepare(options):
    out = common.converted(options, "ffcv.beton")
    if os.path.exists(out):
        return
    os.makedirs(os.path.dirname(out), exist_ok=True)
    fields = {"image": RGBImageField(write_mode="jpg", jpeg_quality=90), "label": IntField()}
    writer = DatasetWriter(out + ".part", fields, num_workers=1)
    writer.from_indexed_dataset(Pictures(options))
    os.rename(out + ".part", out)


def whole(height, width, _scale, _ratio):
    return 0, 0, height, width


class WholeRGBImageDecoder(ResizedCropRGBImageDecoder):
    def __init__(self, output_size):
        super().__init__(output_size)
        self.scale = self.ratio = (1.0, 1.0)

    @property
    def get_crop_generator(self):
        return whole


def batches(options):
    size = (common.SIZE, common.SIZE)
    mean, std = 255 * numpy.array(common.MEAN), 255 * numpy.array(common.STD)
    decoders = [WholeRGBImageDecoder(size)]
    if options.work in common.RANDOM_CROP:
        decoders = [RandomResizedCropRGBImageDecoder(size), RandomHorizontalFlip()]
    image = [*decoders, NormalizeImage(mean, std, numpy.float32), ToTensor(), ToTorchImage(channels_last=False)]
    loader = Loader(common.converted(options, "ffcv.beton"), batch_size=options.batch, num_workers=options.threads,
                    order=OrderOption.RANDOM, os_cache=True, drop_last=False,
                    pipelines={"image": image, "label": [IntDecoder(), ToTensor()]})
    for _ in range(options.epochs):
        for images, _labels in loader:
            yield images


if __name__ == "__main__":
    common.main(batches, prepare, cannot={"png": "stores pixels raw or as JPEG, no PNG",
                                          "http": "reads local files only"})
